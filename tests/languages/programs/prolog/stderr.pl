:- initialization(main).

main :- writeln(user_error, oops).

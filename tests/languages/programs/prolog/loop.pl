:- initialization(main).

main :- main.

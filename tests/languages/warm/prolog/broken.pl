:- initialization(main).

main :- writeln('never closed'.

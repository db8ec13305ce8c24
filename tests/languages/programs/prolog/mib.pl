:- initialization(main).

main :-
    forall(between(1, 16384, _),
           writeln('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')).

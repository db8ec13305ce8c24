:- initialization(main).

show(Flag) :- current_prolog_flag(Flag, L), writeq(Flag=L), nl.

main :-
    show(argv), show(os_argv),
    catch(set_prolog_flag(os_argv, []), E, (print_message(error, E))),
    catch(set_prolog_flag(argv, [x]), F, (print_message(error, F))),
    show(argv), show(os_argv).

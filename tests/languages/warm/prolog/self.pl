:- initialization(main).

main :-
    writeln('ÄÖÜ 漢字 🙂'),
    current_prolog_flag(argv, Argv), writeln(Argv),
    prolog_load_context(directory, D) -> writeln(D) ; writeln(none).

:- getenv('GREETING', G), writeln(G).
:- findall(X, environ(X), Xs), msort(Xs, Sorted), print(Sorted), nl.
:- working_directory(D, D), writeln(D).
:- read_term(user_input, T, []), writeln(T), read_string(user_input, _, S), writeln(S).
:- source_file(F), sub_atom(F, _, _, 0, 'main.pl'), writeln(F).
:- format(user_error, "to standard error~n", []).
:- shell('ls /proc/self/fd | wc -l').
:- statistics(threads, N), writeln(N).
:- X = f(Y, Z), print(X), nl.
:- foo(1).
p(1).
q(2).
p(3).
:- forall(p(X), writeln(X)).

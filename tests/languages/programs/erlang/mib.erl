-module(main).
-export([main/1]).

main(_) ->
    print(lists:duplicate(63, $x), 16384).

print(_, 0) ->
    ok;
print(X, N) ->
    io:put_chars([X, $\n]),
    print(X, N - 1).

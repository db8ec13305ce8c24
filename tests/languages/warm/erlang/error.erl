main(_) -> io:format("a"), f(2).
f(0) -> error(no); f(N) -> 1 + f(N - 1).

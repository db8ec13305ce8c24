-module(main).
-export([main/1]).

main(_) ->
    halt(3).

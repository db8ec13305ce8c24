-module(main).
-export([main/1]).

main(_) ->
    io:format("~ts~n", ["ÄÖÜ 漢字 🙂"]).

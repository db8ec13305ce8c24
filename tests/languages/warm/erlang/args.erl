-module(main).
-export([main/1]).

main(Args) ->
    io:format("~tp~n~tp~n", [Args, init:get_plain_arguments()]),
    io:format("~tp~n~tp ~tp~n", [init:get_arguments(), init:get_argument(run), init:get_argument(none)]),
    io:format("~p~n~p~n", [escript:script_name(), code:get_path()]),
    io:format("~p ~p~n", [lists:sort([M || {M, _} <- code:all_loaded()]), length(processes())]),
    io:format("~p ~p ~p~n", [erlang:ports(), self(), init:get_status()]).

%% SPDX-License-Identifier: Apache-2.0
%% Started by the runtime before it looks at the program: loads what a small program needs, touches the program's file, where wait.so
%% stops this process until its job has come (docs/warm.md), and then sets the environment and the arguments of the job. Of all
%% this nothing is left that a program sees when it asks as usual.
-module(holm_wait).
-export([start/1]).

-define(DIR, "/usr/lib/holm/beam").

%% With the name of the language, after `-run`.
start([Language]) ->
    warm(Language),
    {ok, Modules} = file:read_file(filename:join(?DIR, Language ++ ".modules")),
    [code:ensure_loaded(binary_to_atom(M)) || M <- binary:split(Modules, <<"\n">>, [global, trim])],
    {ok, Init} = file:read_file(filename:join(?DIR, "init.beam")),
    {module, init} = erlang:load_module(init, Init),
    Flags = [F || F <- init:get_arguments(), not is_ours(F)],
    true = code:del_path(?DIR),
    File = lists:last(init:get_plain_arguments()),
    _ = file:read_file_info(File),
    case file:read_file(File ++ ".job") of
        {ok, Told} -> become(Told, File, Flags);
        {error, enoent} -> ok % a second start in the same process, by init:restart()
    end,
    code:delete(?MODULE).

become(Told, File, Flags) ->
    [Count | Rest] = binary:split(Told, <<0>>, [global]),
    {Args, Environment} = lists:split(binary_to_integer(Count), lists:droplast(Rest)),
    set_environment([split(V) || V <- Environment]),
    persistent_term:put(?MODULE, {Flags, [list_to_binary(File) | Args]}).

warm("elixir") -> {ok, _} = application:ensure_all_started(elixir);
warm("erlang") -> ok.

is_ours({pa, [?DIR]}) -> true;
is_ours({run, ["holm_wait" | _]}) -> true;
is_ours(_) -> false.

split(Variable) ->
    [Name, Value] = string:split(unicode:characters_to_list(Variable), "="),
    {Name, Value}.

set_environment(New) ->
    [os:unsetenv(Name) || {Name, _} <- os:env(), not lists:keymember(Name, 1, New)],
    [os:putenv(Name, Value) || {Name, Value} <- New, os:getenv(Name) =/= Value].

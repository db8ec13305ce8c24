-module(main).
-export([main/1]).

main(X) ->
    main(X).

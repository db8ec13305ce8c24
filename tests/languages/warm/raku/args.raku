say @*ARGS.elems;
say @*ARGS.raku;
say $*PROGRAM-NAME;
sub MAIN(*@rest, Bool :$x, Bool :$h) { say @rest.raku, $x, $h }

sub deeper($n) { die "at the bottom" if $n == 0; deeper($n - 1) }
say "before";
deeper(3);

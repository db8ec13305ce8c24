binmode STDIN; local $/; my $d = <STDIN>; print length($d), " ", unpack("%32C*", $d), "\n"; print <DATA>;
__DATA__
data
more

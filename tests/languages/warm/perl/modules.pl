use v5.36; use utf8; use open qw(:std :encoding(UTF-8)); use List::Util qw(sum); use Data::Dumper; $Data::Dumper::Sortkeys = 1;
say "ÄÖÜ 漢字 🙂ä"; say sum 1 .. 10; print Dumper({ a => [1], b => \"x" }); use POSIX (); say POSIX::floor(2.5); sub deep ($n) { $n ? deep($n - 1) : (caller(0))[3] } say deep(200);

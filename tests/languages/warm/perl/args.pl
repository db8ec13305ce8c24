BEGIN { print scalar(@ARGV), "\n" }
print join("|", @ARGV), "\n";
print utf8::is_utf8($ARGV[2]) ? "text" : "bytes", "\n";
my $first = shift;
print "$first, then $#ARGV\n", "$0 $^X\n";

print "$ENV{GREETING}|$ENV{EMPTY}|$ENV{HOME}\n";
$| = 1;
system 'env';

say %*ENV<GREETING>;
say %*ENV.keys.sort;
my $p = run 'sh', '-c', 'echo "$GREETING"', :out;
print $p.out.slurp;

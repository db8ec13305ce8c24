print `ls /proc/self/fd | wc -l`; system "exit 4"; print $? >> 8, "\n";
my $p = fork // die; if (!$p) { exec "echo", "child" } waitpid $p, 0; print "$?\n";
srand(5); print int(rand(1000)), "\n"; print "ok\n" if rand() != rand();

$| = 1; print "a\n"; kill 9, $$; sleep 5;

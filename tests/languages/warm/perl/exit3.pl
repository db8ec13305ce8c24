use warnings; warn "oops\n"; $SIG{TERM} = sub { print "term\n"; exit 3 }; kill TERM => $$; sleep 5;

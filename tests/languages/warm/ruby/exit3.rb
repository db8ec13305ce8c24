at_exit { warn "one" }
at_exit { warn "two"; exit 3 }
abort "bye"

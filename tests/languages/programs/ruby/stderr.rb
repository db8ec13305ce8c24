warn "oops"

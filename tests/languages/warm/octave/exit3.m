fprintf(stderr, "oops\n"); exit(3)

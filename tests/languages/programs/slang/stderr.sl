() = fputs ("oops\n", stderr);

[indent=4]

init
    stderr.printf ("%s\n", "oops")

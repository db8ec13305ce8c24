[indent=4]

init
    c: int
    while (c = stdin.getc ()) >= 0
        stdout.putc ((char) c)

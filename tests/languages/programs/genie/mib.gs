[indent=4]

init
    line: string = string.nfill (63, 'x')
    for var i = 1 to 16384
        stdout.printf ("%s\n", line)

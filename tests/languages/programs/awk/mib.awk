BEGIN {
    while (length(x) < 63)
        x = x "x"
    for (i = 0; i < 16384; i++)
        print x
}

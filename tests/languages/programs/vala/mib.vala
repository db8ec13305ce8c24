void main () {
    var line = string.nfill (63, 'x');
    for (int i = 0; i < 16384; i++)
        stdout.printf ("%s\n", line);
}

void main () {
    stderr.printf ("%s\n", "oops");
}

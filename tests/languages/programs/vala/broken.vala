void main () {
    int number = "text";
    print ("%d\n", number);
}

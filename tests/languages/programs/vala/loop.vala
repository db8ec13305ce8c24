void main () {
    uint turns = 0;
    while (true)
        turns++;
}

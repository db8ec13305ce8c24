int main () {
    uint8 buffer[4096];
    size_t got;
    while ((got = stdin.read (buffer)) > 0)
        stdout.write (buffer[0:got]);
    return 0;
}

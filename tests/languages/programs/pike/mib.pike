int main()
{
    for (int i = 0; i < 16384; i++)
        write("x" * 63 + "\n");
    return 0;
}

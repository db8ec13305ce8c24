int main()
{
    write("ÄÖÜ 漢字 🙂\n");
    return 0;
}

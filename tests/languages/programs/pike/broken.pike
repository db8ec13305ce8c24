int main()
{
    write("never closed);
}

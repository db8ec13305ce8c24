int main()
{
    werror("oops\n");
    return 0;
}

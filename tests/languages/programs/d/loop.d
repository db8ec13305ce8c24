void main()
{
    uint turns;
    for (;;)
        turns++;
}

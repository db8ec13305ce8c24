using System;

class Program
{
    static void Main()
    {
        while (true) {
        }
    }
}

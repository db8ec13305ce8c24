using System;

class Program
{
    static void Main()
    {
        string x = new string('x', 63);
        for (int i = 0; i < 16384; i++)
            Console.WriteLine(x);
    }
}

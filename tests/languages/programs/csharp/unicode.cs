using System;

class Program
{
    static void Main()
    {
        Console.WriteLine("ÄÖÜ 漢字 🙂");
    }
}

class P { static void Main() { System.Console.WriteLine(Other.F() + 1); } }

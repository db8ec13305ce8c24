class P { static int Main() { System.Console.Error.WriteLine("oops"); return 3; } }

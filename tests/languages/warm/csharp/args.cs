using System;

class Program {
    static int Main(string[] args) {
        Console.WriteLine(args.Length);
        foreach (var a in args) Console.WriteLine("[" + a + "] " + a.Length);
        Console.WriteLine(string.Join("|", Environment.GetCommandLineArgs()));
        Console.WriteLine(Environment.CommandLine);
        return args.Length;
    }
}

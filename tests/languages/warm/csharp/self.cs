using System; using System.Collections; using System.Linq; using System.Threading;
class P { static int F(int n) { return n == 0 ? int.Parse("x") : 1 + F(n - 1); }
  static int Main(string[] a) {
    Console.WriteLine(string.Join("|", a) + Environment.CommandLine + " " + Environment.CurrentDirectory + " " + AppDomain.CurrentDomain.FriendlyName + " " + AppDomain.CurrentDomain.IsDefaultAppDomain());
    foreach (var k in Environment.GetEnvironmentVariables().Keys.Cast<string>().OrderBy(k => k, StringComparer.Ordinal)) Console.WriteLine(k + "=" + Environment.GetEnvironmentVariable(k));
    foreach (var m in AppDomain.CurrentDomain.GetAssemblies()) Console.WriteLine(m.GetName().Name);
    Console.WriteLine("ÄÖÜ 漢字 🙂 " + Console.In.ReadToEnd().Length + Environment.StackTrace);
    AppDomain.CurrentDomain.ProcessExit += (s, e) => Console.WriteLine("leaving");
    var p = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("sh", "-c \"ls /proc/self/fd | wc -l\"") { UseShellExecute = false }); p.WaitForExit();
    var t = new Thread(() => Console.WriteLine("thread")); t.Start(); t.Join();
    if (a.Length > 5) return 3; return F(2); } }

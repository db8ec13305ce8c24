class P { static void Main() { int x = "a"; nothing(); int unused; } }

class Other { public static int F() { return 41; } }

say "x" x 63 for ^16384;

line = "x" * 63
16384.times { puts line }

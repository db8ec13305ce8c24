select repeat('x', 63) from generate_series(1, 16384);

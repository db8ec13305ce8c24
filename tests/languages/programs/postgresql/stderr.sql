\warn oops

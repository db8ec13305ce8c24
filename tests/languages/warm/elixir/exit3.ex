IO.puts(:stderr, "oops"); System.halt(3)

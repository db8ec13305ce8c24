object Main extends App { System.err.println("oops"); sys.exit(3) }

System.err.println 'oops'; System.exit 3

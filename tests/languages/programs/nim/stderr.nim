stderr.writeLine "oops"

stdout.write stdin.readAll()

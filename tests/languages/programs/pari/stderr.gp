system("echo oops >&2")

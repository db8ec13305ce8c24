"oops\n" | halt_error(0)

(display "oops\n" (current-error-port))

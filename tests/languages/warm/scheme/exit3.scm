(display "a" (current-error-port)) (exit 3)

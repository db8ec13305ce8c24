(display "a"

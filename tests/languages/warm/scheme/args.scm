(write (command-line)) (newline)
(write (program-arguments)) (newline)
(write (map string-length (cdr (command-line)))) (newline)

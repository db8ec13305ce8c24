#lang racket
(displayln (current-command-line-arguments)) (displayln (getenv "GREETING")) (displayln (current-directory)) (displayln (read-line)) (displayln "ÄÖÜ 漢字 🙂")
(displayln (find-system-path 'run-file)) (displayln (map (lambda (n) (environment-variables-ref (current-environment-variables) n)) (sort (environment-variables-names (current-environment-variables)) bytes<?)))
(system "ls /proc/self/fd | wc -l") (plumber-add-flush! (current-plumber) (lambda (h) (eprintf "leaving\n")))
(define (f n) (if (zero? n) (/ 1 n) (+ 1 (f (sub1 n))))) (f 3)

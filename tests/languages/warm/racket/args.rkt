#lang racket/base
(write (current-command-line-arguments)) (newline)
(write (immutable? (current-command-line-arguments))) (newline)
(write (find-system-path 'run-file)) (newline)
(write (for/list ([name (environment-variables-names (current-environment-variables))]
                  #:when (regexp-match? #rx#"HOLM" name))
         name))
(newline)
(module+ main (write (vector-length (current-command-line-arguments))))

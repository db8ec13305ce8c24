#lang racket/base
(define x (make-string 63 #\x))
(for ([_ (in-range 16384)])
  (displayln x))

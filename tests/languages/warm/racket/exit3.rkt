#lang racket/base
(eprintf "oops\n") (exit 3)

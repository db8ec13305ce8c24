#lang racket/base
(eprintf "oops\n")

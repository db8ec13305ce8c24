#lang racket/base
(displayln "a"

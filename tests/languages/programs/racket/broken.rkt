#lang racket/base
(displayln "never closed"

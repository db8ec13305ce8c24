#lang racket/base
(displayln "ÄÖÜ 漢字 🙂")

; SPDX-License-Identifier: Apache-2.0
; Required before the program: touches its file, where wait.so stops this process until its job has come, and seeds
; `random` anew, which Racket has seeded when it started: two copies of a waiting process would draw the same.
(module wait '#%kernel
  (close-input-port (open-input-file "main.rkt"))
  (let-values ([(in) (open-input-file "/dev/urandom")])
    (letrec-values ([(draw) (lambda (max)
                              (add1 (remainder (integer-bytes->integer (read-bytes 8 in) #f) (sub1 max))))])
      (vector->pseudo-random-generator!
       (current-pseudo-random-generator)
       (vector (draw 4294967087) (draw 4294967087) (draw 4294967087)
               (draw 4294944443) (draw 4294944443) (draw 4294944443))))
    (close-input-port in)))

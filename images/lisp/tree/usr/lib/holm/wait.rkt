; SPDX-License-Identifier: Apache-2.0
; Required before the program: touches its file, where wait.so stops this process until its job has come. Takes the program's arguments,
; and seeds `random` anew, which Racket has seeded when it started: two copies of a waiting process would draw the same.
(module wait '#%kernel
  (close-input-port (open-input-file "main.rkt"))
  (let-values ([(in) (open-input-file "main.rkt.job")])
    (letrec-values ([(field) (lambda ()
                               (bytes->string/locale (cadr (regexp-match #rx#"^([^\0]*)\0" in)) (integer->char 63)))]
                    [(fields) (lambda (n)
                                (if (eq? n 0)
                                    '()
                                    (let-values ([(first) (field)])
                                      (cons first (fields (sub1 n))))))])
      (let-values ([(arguments) (fields (string->number (field)))])
        (if (null? arguments)
            (void)
            (current-command-line-arguments (vector->immutable-vector (list->vector arguments))))))
    (close-input-port in))
  (let-values ([(in) (open-input-file "/dev/urandom")])
    (letrec-values ([(draw) (lambda (max)
                              (add1 (remainder (integer-bytes->integer (read-bytes 8 in) #f) (sub1 max))))])
      (vector->pseudo-random-generator!
       (current-pseudo-random-generator)
       (vector (draw 4294967087) (draw 4294967087) (draw 4294967087)
               (draw 4294944443) (draw 4294944443) (draw 4294944443))))
    (close-input-port in)))

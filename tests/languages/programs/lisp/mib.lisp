(let ((x (make-string 63 :initial-element #\x)))
  (dotimes (i 16384)
    (write-line x)))

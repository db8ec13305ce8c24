(set 'x (dup "x" 63))
(dotimes (i 16384)
  (println x))

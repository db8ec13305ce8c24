(def x (apply str (repeat 63 \x)))
(dotimes [_ 16384]
  (println x))

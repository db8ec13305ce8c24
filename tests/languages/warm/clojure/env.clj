(println (sort (map str (System/getenv))) (slurp (.getInputStream (.exec (Runtime/getRuntime) "sh -c env"))))
(System/exit 3)

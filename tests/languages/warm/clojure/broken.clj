(println "a")
(println (undefined 1)

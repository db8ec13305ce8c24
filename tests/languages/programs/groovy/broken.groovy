println "never closed

System.err.println "oops"

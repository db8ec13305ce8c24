16384.times { println "x" * 63 }

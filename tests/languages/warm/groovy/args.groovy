println args.length
args.each { println "[$it] ${it.length()} ${it.class}" }
println args.class
println System.getProperty('sun.java.command')

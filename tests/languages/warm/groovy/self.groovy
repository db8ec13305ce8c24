println args as List; println this.class.name; println new File('.').canonicalPath; println "ÄÖÜ 漢字 🙂"
println System.getenv('HOME'); println System.in.newReader().readLine(); println binding.variables.keySet()
println Thread.currentThread().stackTrace.collect { it.className }.findAll { !it.contains('$') }
Runtime.runtime.addShutdownHook { println 'leaving' }
def f(n) { n ? f(n - 1) : [1][5].foo() }
f(2)

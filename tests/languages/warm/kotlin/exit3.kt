fun main() { System.err.println("oops"); Runtime.getRuntime().addShutdownHook(Thread { println("leaving") }); kotlin.system.exitProcess(3) }

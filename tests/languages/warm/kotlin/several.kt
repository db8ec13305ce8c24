fun main() { println(other() + 1) }

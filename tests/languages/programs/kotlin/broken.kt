fun main() {
    println("never closed)
}

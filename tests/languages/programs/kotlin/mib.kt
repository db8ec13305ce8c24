fun main() {
    repeat(16384) { println("x".repeat(63)) }
}

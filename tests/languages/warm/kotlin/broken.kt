fun main() {
    val unused = 1
    val x: Int = "a"
    nothing()
}

fun main() {
    var line = readlnOrNull()
    while (line != null) {
        println(line)
        line = readlnOrNull()
    }
}

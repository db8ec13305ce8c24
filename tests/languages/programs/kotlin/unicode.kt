fun main() {
    println("ÄÖÜ 漢字 🙂")
}

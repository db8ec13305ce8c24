import kotlin.concurrent.thread
data class P(val x: Int, val s: String)
fun main(args: Array<String>) {
    println(args.toList()); println(P(1, "ÄÖÜ 漢字 🙂")); println(Thread.currentThread().stackTrace.toList())
    System.getenv().toSortedMap().forEach { (k, v) -> println("$k=$v") }
    println(listOf(1, 2, 3).map { it * 2 }.sumOf { it }); println(readLine())
    thread { error("in a thread") }.join()
    val s: String? = null
    println(s!!.length)
}

case class P(x: Int, s: String)
object Main {
  def main(args: Array[String]): Unit = {
    println(args.toList); println(P(1, "ÄÖÜ 漢字 🙂")); println(Thread.currentThread.getStackTrace.toList)
    println(sys.env.toList.sorted); println(scala.io.StdIn.readLine()); println((1 to 10).par.sum)
    sys.addShutdownHook(println("leaving"))
    List(1).tail.head
  }
}

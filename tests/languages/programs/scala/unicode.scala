object Main {
  def main(args: Array[String]): Unit = {
    println("ÄÖÜ 漢字 🙂")
  }
}

object Main {
  def main(args: Array[String]): Unit = {
    for (_ <- 1 to 16384) println("x" * 63)
  }
}

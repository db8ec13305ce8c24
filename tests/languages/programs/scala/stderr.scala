object Main {
  def main(args: Array[String]): Unit = {
    Console.err.println("oops")
  }
}

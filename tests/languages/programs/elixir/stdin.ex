for line <- IO.stream(:stdio, :line), do: IO.write(line)

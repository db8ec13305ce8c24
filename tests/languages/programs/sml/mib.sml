val line = implode (List.tabulate (63, fn _ => #"x")) ^ "\n"

fun repeat 0 = ()
  | repeat n = (print line; repeat (n - 1))

val () = repeat 16384

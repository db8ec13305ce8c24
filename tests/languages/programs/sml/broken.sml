val number : int = "text"
val () = print (Int.toString number)

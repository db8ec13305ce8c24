val () = TextIO.print (TextIO.inputAll TextIO.stdIn)

fun loop n = loop (if n = 0 then 1 else 0)
val () = loop 0

let number : int = "text"
let () = print_int number

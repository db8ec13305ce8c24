number : Int32 = "text"
puts number

fooo = 1
puts foo

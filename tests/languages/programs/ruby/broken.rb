puts "never closed

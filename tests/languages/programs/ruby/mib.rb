16384.times { puts "x" * 63 }

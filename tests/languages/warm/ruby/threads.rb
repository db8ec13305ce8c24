t = Thread.new { sleep 0.05; puts "never" }
q = Queue.new
Thread.new { q << 1 }
p q.pop
Thread.new { raise "in a thread" }.join

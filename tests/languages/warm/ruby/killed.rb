$stdout.sync = true
puts "x"
Process.kill('KILL', Process.pid)
sleep 5

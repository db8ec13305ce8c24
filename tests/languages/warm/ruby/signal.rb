trap('TERM') { puts "got term"; exit 5 }
Process.kill('TERM', Process.pid)
sleep 5

puts `ls /proc/self/fd | wc -l`, $?.inspect.sub(/\d+/, 'N')
pid = fork { puts Dir.children('/proc/self/fd').size; exit! 7 }
Process.wait pid
p $?.exitstatus
spawn('cat', in: :close, err: :close)
p Process.waitall.size

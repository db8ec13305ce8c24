Process.kill('INT', Process.pid)
sleep 5

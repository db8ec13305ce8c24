<?php
echo shell_exec('ls /proc/self/fd | wc -l');
passthru('exit 4', $code); var_dump($code);
$p = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
fwrite($pipes[0], "hi\n"); fclose($pipes[0]); echo stream_get_contents($pipes[1]); var_dump(proc_close($p));
posix_kill(posix_getpid(), 15);
sleep(5);

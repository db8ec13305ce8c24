# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

print(subprocess.run(['ls', '/proc/self/fd'], capture_output=True, text=True).stdout.split())
print(subprocess.run(['env'], capture_output=True, text=True).stdout)
code = 'import sys, os; print(sys.argv, os.getcwd(), sorted(os.environ), sorted(sys.modules) == sys.stdin.read().split())'
r = subprocess.run([sys.executable, '-c', code, 'x'], input=' '.join(sorted(sys.modules)), capture_output=True, text=True)
print(r.returncode, r.stderr, r.stdout.split(' ', 2)[:2])
pid = os.fork()
if pid == 0:
    print('child', os.listdir('/proc/self/fd')[:3])
    sys.stdout.flush()
    os._exit(7)
print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.system('echo from the shell; exit 2')

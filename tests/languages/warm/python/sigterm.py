# SPDX-License-Identifier: Apache-2.0
import os
import signal
import sys


def handler(number, frame):
    print('caught', signal.Signals(number).name, frame.f_lineno > 0)
    sys.exit(9)


signal.signal(signal.SIGTERM, handler)
print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD)])
os.kill(os.getpid(), signal.SIGTERM)
while True:
    signal.pause()

# SPDX-License-Identifier: Apache-2.0
import threading
import time


def late():
    go.wait()
    for i in range(3):
        print('thread', i)


go = threading.Event()
threading.Thread(target=late).start()
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
threading.excepthook = lambda args: print('hook', args.exc_type.__name__)
t = threading.Thread(target=lambda: 1 / 0)
t.start()
t.join()
print(threading.main_thread().name, threading.active_count())
print('main has ended')
go.set()

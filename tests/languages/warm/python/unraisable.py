# SPDX-License-Identifier: Apache-2.0
import sys


class Bad:
    def __del__(self):
        raise RuntimeError('in a finalizer')


sys.unraisablehook = lambda u: print('unraisable', u.exc_type, u.exc_value, u.err_msg, u.object.__qualname__)
Bad()
keep = Bad()
print('end')

# SPDX-License-Identifier: Apache-2.0
import atexit
import sys

atexit.register(print, 'first registered')
atexit.register(lambda: print('last registered', file=sys.stderr))
raise SystemExit

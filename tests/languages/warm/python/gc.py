# SPDX-License-Identifier: Apache-2.0
import gc
import sys
print(gc.isenabled(), gc.get_threshold(), gc.garbage, sys.getrefcount(object()), gc.collect() >= 0)
print(type(__builtins__), __builtins__.__name__, len(dir(__builtins__)))

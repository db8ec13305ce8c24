# SPDX-License-Identifier: Apache-2.0
import os
import select
import stat
import sys
print(sys.stdin.isatty(), stat.S_IFMT(os.fstat(0).st_mode), select.select([0], [], [], 1)[0], repr(sys.stdin.read()))

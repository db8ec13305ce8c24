# SPDX-License-Identifier: Apache-2.0
import sys
for i in range(20000):
    sys.stdout.write('%063d\n' % i)
print('end', file=sys.stderr)

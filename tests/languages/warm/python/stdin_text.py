# SPDX-License-Identifier: Apache-2.0
import sys
name = input('Name? ')
print('Hello,', name)
for n, line in enumerate(sys.stdin):
    print(n, repr(line))
try:
    input()
except EOFError as e:
    print('EOF', e)

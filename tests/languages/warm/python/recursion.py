# SPDX-License-Identifier: Apache-2.0
import sys


def depth(n=0):
    try:
        return depth(n + 1)
    except RecursionError:
        return n


print(sys.getrecursionlimit(), depth() > 900)


def forever():
    forever()


forever()

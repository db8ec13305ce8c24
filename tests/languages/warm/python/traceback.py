# SPDX-License-Identifier: Apache-2.0
def outer(n):
    return inner(n)


def inner(n):
    return 1 / n


try:
    outer(0)
except ZeroDivisionError as e:
    raise ValueError('again') from e

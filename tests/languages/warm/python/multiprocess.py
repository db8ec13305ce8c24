# SPDX-License-Identifier: Apache-2.0
import multiprocessing


def square(n):
    return n * n


if __name__ == '__main__':
    for method in ('fork', 'spawn'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(5)))

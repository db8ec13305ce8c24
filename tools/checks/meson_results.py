#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints "PASSED FAILED" of a meson test log (testlog.json).

A cmocka program counts with each of its tests, one that speaks TAP likewise, any other program as one. A program that failed
without a failed test (a crash, a timeout, a sanitizer) counts one failure more.
"""
import json
import re
import sys

GOOD = ("OK", "EXPECTEDFAIL", "SKIP")


def count(test):
    output = test.get("stdout", "") + test.get("stderr", "")
    passed = len(re.findall(r"^(?:\[       OK \] |ok \d)", output, re.M))
    failed = len(re.findall(r"^\[  FAILED  \] \w+$", output, re.M))
    if "TAP version" in output:
        return len(re.findall(r"^ok ", output, re.M)), len(re.findall(r"^not ok ", output, re.M))
    good = test["result"] in GOOD
    if not good:
        # cmocka names each failed test twice: when it failed and in the summary.
        failed = failed // 2 + len(re.findall(r"^not ok \d", output, re.M))
        return passed, max(failed, 1)
    return max(passed, 1), 0


def main():
    total = [0, 0]
    try:
        with open(sys.argv[1], encoding="utf-8") as log:
            for line in log:
                passed, failed = count(json.loads(line))
                total[0] += passed
                total[1] += failed
    except FileNotFoundError:
        pass
    print(*total)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file as a C array, for data that is built into a program.

usage: embed.py NAME FILE OUTPUT
"""
import sys


def main():
    name, path, output = sys.argv[1:]
    with open(path, "rb") as f:
        data = f.read()
    with open(output, "w", encoding="ascii") as f:
        f.write(f"static const unsigned char {name}[] = {{\n")
        for i in range(0, len(data), 16):
            f.write("    " + " ".join(f"0x{b:02x}," for b in data[i:i + 16]) + "\n")
        f.write("};\n")


main()

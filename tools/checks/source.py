#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks of the source tree that no compiler makes: layers, sizes, headers, words.

usage: source.py CHECK      (layers, sizes, functions, spdx, words, listed)

Prints one line "file:line: what" a finding; exit status 1 when there are any. The functions are
found by their layout (clang-format puts a function's braces in column 1), which is all that is
needed to count lines, parameters and depth.
"""
import os
import re
import subprocess
import sys

LINES_MAX = {".c": 600, ".h": 250}
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 5
DEPTH_MAX = 4
SOURCE_SUFFIXES = (".c", ".h", ".bash", ".mjs", ".py")

findings = []


def exceptions():
    """(path, name) pairs of tools/checks/exceptions, which says why for each."""
    with open("tools/checks/exceptions", encoding="utf-8") as f:
        return {tuple(l.split(None, 2)[:2]) for l in f if l.strip() and l[0] != "#"}


def found(path, line, text):
    if (path, text.split(":")[0]) not in exceptions():
        findings.append(f"{path}:{line}: {text}")


# Programs that tests hand to VMs are no sources of ours: as in any language, broken ones too.
PROGRAMS = ("tests/languages/programs/", "tests/languages/warm/")


def files():
    """What git has or would take; not what it ignores, nor the programs of tests."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True).stdout.decode().split("\0")
    return sorted(f for f in set(listed)
                  if f and not f.startswith(PROGRAMS) and os.path.isfile(f))


def c_files():
    return [f for f in files() if f.endswith((".c", ".h")) and f.startswith(("src/", "tests/"))]


def lines_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


# --- layers: src/LAYERS says whose headers a directory's files may include ---

def allowed_layers():
    allowed = {}
    for line in lines_of("src/LAYERS"):
        if line.startswith("#") or ":" not in line:
            continue
        name, others = line.split(":", 1)
        allowed[name.strip()] = {name.strip(), *others.split()}
    return allowed


def check_layers():
    allowed = allowed_layers()
    for path in c_files():
        if not path.startswith("src/"):
            continue
        layer = path.split("/")[1]
        if layer not in allowed:
            found(path, 1, f"directory src/{layer} is not in src/LAYERS")
            continue
        for number, line in enumerate(lines_of(path), 1):
            m = re.match(r'#\s*include "([^"/]+)/', line)
            if m and m.group(1) not in allowed[layer]:
                found(path, number, f"{layer} must not include {m.group(1)} (src/LAYERS)")


# --- sizes ---

def check_sizes():
    for path in c_files():
        lines = lines_of(path)
        most = LINES_MAX[os.path.splitext(path)[1]]
        if len(lines) > most:
            found(path, len(lines), f"{len(lines)} lines, at most {most}")
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(4)) > COLUMNS_MAX:
                found(path, number, f"{len(line)} columns, at most {COLUMNS_MAX}")


def parameters(signature):
    """The number of parameters in 'type name(a, b)'; the last parenthesis group at depth 0."""
    start = signature.find("(")
    if signature.startswith(("CLEANUP(", "DEFINE_")) or start < 0:
        return 0
    depth = count = 0
    for c in signature[start:]:
        depth += (c == "(") - (c == ")")
        count += c == "," and depth == 1
        if depth == 0:
            break
    inside = signature[start + 1:].split(")")[0].strip()
    if inside in ("", "void"):
        return 0
    # A callback has the parameters that its library gives it; the error comes on top (STYLE.md).
    if re.search(r"nghttp2_session|MHD_Connection", signature):
        return 0
    return count + 1 - bool(re.search(r"struct err \*e\)", signature))


def functions(lines):
    """Yields (first line number, signature, body lines), first being the line of the '{'."""
    start = None
    for i, line in enumerate(lines):
        if line == "{" and start is None:
            start = i
        elif line in ("}", "};") and start is not None:
            first = start - 1
            while first > 0 and lines[first - 1][:1] not in ("", "}", "#", "/", " ") \
                    and not lines[first - 1].endswith(("*/", ";")):
                first -= 1
            while first > 0 and lines[first][:1] == " ":
                first -= 1
            yield first + 1, " ".join(s.strip() for s in lines[first:start]), lines[start + 1:i]
            start = None


def check_functions():
    control = re.compile(r"( +)(if|for|while|switch|do)\b")
    for path in c_files():
        for line, signature, body in functions(lines_of(path)):
            if "(" not in signature:
                continue
            name = re.sub(r"\(.*", "", signature).split()[-1].lstrip("*")
            if len(body) > FUNCTION_LINES_MAX:
                found(path, line, f"{name}: {len(body)} lines, at most {FUNCTION_LINES_MAX}")
            if parameters(signature) > PARAMETERS_MAX:
                found(path, line, f"{name}: {parameters(signature)} parameters, at most {PARAMETERS_MAX}")
            depths = [len(m.group(1)) // 4 for m in map(control.match, body) if m]
            if max(depths, default=0) > DEPTH_MAX:
                found(path, line, f"{name}: nested {max(depths)} deep, at most {DEPTH_MAX}")


# --- SPDX, words ---

def is_script(path):
    with open(path, "rb") as f:
        return f.read(2) == b"#!"


def is_source(path):
    return path.endswith(SOURCE_SUFFIXES) or os.path.basename(path) == "meson.build" or is_script(path)


def check_spdx():
    for path in files():
        if is_source(path) and not any("SPDX-License-Identifier: Apache-2.0" in l
                                       for l in lines_of(path)[:3]):
            found(path, 1, "no SPDX-License-Identifier: Apache-2.0 in the first lines")


def check_words():
    patterns = [re.compile(l) for l in lines_of("tools/checks/forbidden") if l and l[0] != "#"]
    for path in files():
        if path == "tools/checks/forbidden" or ".corpus/" in path:
            continue
        try:
            lines = lines_of(path)
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            for p in patterns:
                m = p.search(line)
                if m:
                    found(path, number, f'"{m.group(0)}" does not belong here')


# --- every source is built ---

def build_file(directory):
    while not os.path.exists(os.path.join(directory, "meson.build")):
        if not directory:
            return ""
        directory = os.path.dirname(directory)
    return "\n".join(lines_of(os.path.join(directory, "meson.build")))


def check_listed():
    for path in files():
        if not path.endswith(".c") or not path.startswith(("src/", "tests/")):
            continue
        name = os.path.basename(path)
        text = build_file(os.path.dirname(path)) + build_file("tests") + build_file("")
        stem = re.sub(r"(_test|_fuzz)?\.c$", "", name)
        by_stem = name != stem + ".c" and re.search(rf"'(\w+/)?{re.escape(stem)}'", text)
        if not by_stem and not re.search(rf"['/]{re.escape(name)}'", text):
            found(path, 1, "is in no meson.build, so it is never built")


def main():
    check = globals().get("check_" + (sys.argv[1] if len(sys.argv) == 2 else ""))
    if not check:
        sys.exit(__doc__)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    check()
    print("\n".join(findings), end="\n" if findings else "")
    sys.exit(bool(findings))


main()

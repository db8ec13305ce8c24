import std/strutils

let line = 'x'.repeat(63)
for i in 1 .. 16384:
  echo line

for i = 1 to 63
  x$ = x$ + "x"
next i
for i = 1 to 16384
  print x$
next i

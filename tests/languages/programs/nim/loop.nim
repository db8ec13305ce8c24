var turns = 0'u
while true:
  inc turns

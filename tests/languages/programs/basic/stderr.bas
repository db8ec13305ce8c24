open #1, "/dev/stderr", "w"
print #1 "oops"

undivert(`/dev/stdin')dnl

errprint(`oops
')dnl

define(`line', `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
')dnl
define(`four', `$1$1$1$1')dnl
define(`sixteen', `four(four($1))')dnl
sixteen(sixteen(sixteen(four(line))))dnl

set x = xxxxxxx
set x = $x$x$x$x$x$x$x$x$x
@ i = 0
while ($i < 16384)
    echo $x
    @ i++
end

x=xxxxxxx
x=$x$x$x$x$x$x$x$x$x
i=0
while [[ $i -lt 16384 ]]; do
    echo "$x"
    i=$((i + 1))
done

set x (string repeat -n 63 x)
for i in (seq 16384)
    echo $x
end

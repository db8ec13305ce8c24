set x [string repeat x 63]
for {set i 0} {$i < 16384} {incr i} {
    puts $x
}

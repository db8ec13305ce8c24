printf -v line '%63s' ''
printf "%.0s${line// /x}\n" {1..16384}

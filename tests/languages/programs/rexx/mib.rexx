x = copies('x', 63)
do 16384
  say x
end

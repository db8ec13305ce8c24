turns = 0_u32
loop do
  turns &+= 1
end

local x = string.rep("x", 63)
for _ = 1, 16384 do
    print(x)
end

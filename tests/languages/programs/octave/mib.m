x = repmat("x", 1, 63);
for i = 1:16384
  puts([x "\n"]);
end

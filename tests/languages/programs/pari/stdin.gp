lines = externstr("cat");
for (i = 1, #lines, print(lines[i]))

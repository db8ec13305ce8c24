while (line = $stdin.gets)
  print line
end

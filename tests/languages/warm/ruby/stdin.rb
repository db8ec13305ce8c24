data = $stdin.read
p data.bytesize, data.encoding, data.valid_encoding?, data.sum
p $stdin.read, $stdin.eof?

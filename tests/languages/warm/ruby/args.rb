p ARGV, ENV['GREETING'], ENV.keys
puts ARGF.class, $*.inspect, ARGV.map(&:encoding).inspect, ARGV.map(&:frozen?).inspect
system('printf "%s|" "$GREETING" "$HOME"; echo; env')

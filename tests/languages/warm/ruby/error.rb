def inner = raise(ArgumentError, "no good")
def outer
  inner
rescue ArgumentError
  raise "worse"
end
at_exit { puts "leaving: #{$!.inspect}" }
outer

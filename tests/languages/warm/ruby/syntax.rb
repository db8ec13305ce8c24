puts "before"
def broken(
  end end

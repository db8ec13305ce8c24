=begin
comment
=end
puts __LINE__, __ENCODING__
raise "x"
__END__

puts DATA.read, DATA.lineno, __LINE__
p DATA.path
__END__
a
b

program broken
  implicit none
  undeclared = 1
  print *, undeclared
end program broken

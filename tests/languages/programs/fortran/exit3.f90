program quit
  implicit none
  call exit(3)
end program quit

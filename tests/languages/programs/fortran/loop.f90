program forever
  implicit none
  integer, volatile :: turns
  turns = 0
  do
     turns = ieor(turns, 1)
  end do
end program forever

program mib
  implicit none
  integer :: i
  do i = 1, 16384
     print '(a)', repeat('x', 63)
  end do
end program mib

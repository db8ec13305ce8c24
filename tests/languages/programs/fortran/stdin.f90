program copy
  use iso_fortran_env, only: input_unit, output_unit, iostat_end, iostat_eor
  implicit none
  character(len=1) :: c
  integer :: status

  do
     read (input_unit, '(a)', advance='no', iostat=status) c
     if (status == iostat_end) exit
     if (status == iostat_eor) then
        write (output_unit, '(a)') ''
     else
        write (output_unit, '(a)', advance='no') c
     end if
  end do
end program copy

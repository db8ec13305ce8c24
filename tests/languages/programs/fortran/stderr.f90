program oops
  use iso_fortran_env, only: error_unit
  implicit none
  write (error_unit, '(a)') 'oops'
end program oops

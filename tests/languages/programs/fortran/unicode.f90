program unicode
  implicit none
  character(len=*), parameter :: text = 'ÄÖÜ 漢字 🙂'
  print '(a)', text
end program unicode

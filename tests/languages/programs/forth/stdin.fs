create line 256 allot
: copy  begin  line 255 stdin read-line throw  while  line swap type cr  repeat  drop ;
copy

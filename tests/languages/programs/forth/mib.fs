: x63  63 0 do  [char] x emit  loop ;
: all  16384 0 do  x63 cr  loop ;
all

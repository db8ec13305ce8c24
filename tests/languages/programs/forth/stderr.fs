s" oops" stderr write-line throw

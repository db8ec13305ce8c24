MODULE Copying;

FROM FIO IMPORT StdIn, StdOut, ReadChar, WriteChar, EOF, FlushBuffer;

VAR
  ch: CHAR;

BEGIN
  ch := ReadChar (StdIn);
  WHILE NOT EOF (StdIn) DO
    WriteChar (StdOut, ch);
    ch := ReadChar (StdIn)
  END;
  FlushBuffer (StdOut)
END Copying.

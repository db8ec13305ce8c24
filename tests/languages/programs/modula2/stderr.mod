MODULE Oops;

FROM FIO IMPORT StdErr, WriteString, WriteLine, FlushBuffer;

BEGIN
  WriteString (StdErr, "oops");
  WriteLine (StdErr);
  FlushBuffer (StdErr)
END Oops.

MODULE Mib;

FROM StrIO IMPORT WriteString, WriteLn;

VAR
  i, j: CARDINAL;
  line: ARRAY [0..62] OF CHAR;

BEGIN
  FOR j := 0 TO 62 DO
    line[j] := 'x'
  END;
  FOR i := 1 TO 16384 DO
    WriteString (line);
    WriteLn
  END
END Mib.

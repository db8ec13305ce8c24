MODULE Broken;

FROM StrIO IMPORT WriteString, WriteLn;

BEGIN
  WriteString (undeclared);
  WriteLn
END Broken.

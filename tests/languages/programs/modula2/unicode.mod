MODULE UnicodeText;

FROM StrIO IMPORT WriteString, WriteLn;

BEGIN
  WriteString ("ÄÖÜ 漢字 🙂");
  WriteLn
END UnicodeText.

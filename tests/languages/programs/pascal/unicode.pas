program UnicodeText;

var
  Text: string;

begin
  Text := 'ÄÖÜ 漢字 🙂';
  WriteLn(Text);
end.

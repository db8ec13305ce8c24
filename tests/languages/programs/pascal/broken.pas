program Broken;

var
  Number: Integer;

begin
  Number := 'text';
  WriteLn(Number);
end.

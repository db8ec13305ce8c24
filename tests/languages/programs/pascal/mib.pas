program Mib;

uses
  SysUtils;

var
  I: Integer;

begin
  for I := 1 to 16384 do
    WriteLn(StringOfChar('x', 63));
end.

program Forever;

var
  Turns: LongWord;

begin
  Turns := 0;
  while Turns < 2 do
    Turns := 1 - Turns;
end.

program Ending;

begin
  Halt(3);
end.

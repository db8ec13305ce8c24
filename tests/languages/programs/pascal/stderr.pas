program Oops;

begin
  WriteLn(StdErr, 'oops');
end.

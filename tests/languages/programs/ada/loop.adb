procedure Main is
   Turns : Natural := 0 with Volatile;
begin
   loop
      Turns := 1 - Turns;
   end loop;
end Main;

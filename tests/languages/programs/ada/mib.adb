with Ada.Text_IO;

procedure Main is
   Line : constant String (1 .. 63) := (others => 'x');
begin
   for I in 1 .. 16384 loop
      Ada.Text_IO.Put_Line (Line);
   end loop;
end Main;

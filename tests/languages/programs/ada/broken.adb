with Ada.Text_IO;

procedure Main is
   Number : Integer := "text";
begin
   Ada.Text_IO.Put_Line (Integer'Image (Number));
end Main;

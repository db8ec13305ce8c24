with Ada.Text_IO;

procedure Main is
   Text : constant String := "ÄÖÜ 漢字 🙂";
begin
   Ada.Text_IO.Put_Line (Text);
end Main;

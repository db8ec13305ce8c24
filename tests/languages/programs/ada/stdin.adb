with Ada.Streams;
with Ada.Text_IO.Text_Streams;
use Ada;

procedure Main is
   From   : constant Text_IO.Text_Streams.Stream_Access :=
     Text_IO.Text_Streams.Stream (Text_IO.Standard_Input);
   To     : constant Text_IO.Text_Streams.Stream_Access :=
     Text_IO.Text_Streams.Stream (Text_IO.Standard_Output);
   Buffer : Streams.Stream_Element_Array (1 .. 4096);
   Last   : Streams.Stream_Element_Offset;
   use type Streams.Stream_Element_Offset;
begin
   loop
      Streams.Read (From.all, Buffer, Last);
      exit when Last < Buffer'First;
      Streams.Write (To.all, Buffer (1 .. Last));
   end loop;
end Main;

program Copying;

{$mode objfpc}

uses
  Classes, SysUtils;

var
  Buffer: array [1 .. 4096] of Byte;
  Source, Target: THandleStream;
  Got: LongInt;

begin
  Source := THandleStream.Create(StdInputHandle);
  Target := THandleStream.Create(StdOutputHandle);
  repeat
    Got := Source.Read(Buffer, SizeOf(Buffer));
    if Got > 0 then
      Target.WriteBuffer(Buffer, Got);
  until Got <= 0;
  Target.Free;
  Source.Free;
end.

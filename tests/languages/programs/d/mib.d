import std.array;
import std.stdio;

void main()
{
    auto line = "x".replicate(63);
    foreach (i; 0 .. 16384)
        writeln(line);
}

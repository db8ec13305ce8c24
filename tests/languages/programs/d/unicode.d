import std.stdio;

void main()
{
    string text = "ÄÖÜ 漢字 🙂";
    writefln("%s", text);
}

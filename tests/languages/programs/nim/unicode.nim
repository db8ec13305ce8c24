import std/unicode

let text = "ÄÖÜ 漢字 🙂"
doAssert text.runeLen == 8
echo text

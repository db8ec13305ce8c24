package main

import (
	"fmt"
	"unicode/utf8"
)

func main() {
	text := "ÄÖÜ 漢字 🙂"
	if utf8.RuneCountInString(text) != 8 {
		panic("runes")
	}
	fmt.Println(text)
}

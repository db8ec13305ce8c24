package main

import (
	"fmt"
	"strings"
)

func main() {
	line := strings.Repeat("x", 63)
	for i := 0; i < 16384; i++ {
		fmt.Println(line)
	}
}

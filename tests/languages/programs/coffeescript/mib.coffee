x = "x".repeat 63
console.log x for [1..16384]

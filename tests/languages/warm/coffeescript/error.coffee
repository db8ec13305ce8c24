square = (x) ->
  throw new Error "no #{x}" if x > 2
  x * x

console.log square 2
console.log square 3

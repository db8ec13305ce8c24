const line = 'x'.repeat(63);
console.log(Array(16384).fill(line).join('\n'));

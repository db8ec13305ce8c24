// SPDX-License-Identifier: Apache-2.0
const lines = [];
require('readline').createInterface({ input: process.stdin }).on('line', (line) => lines.push(line)).on('close', () => {
  console.log(lines.length, lines);
});

// SPDX-License-Identifier: Apache-2.0
setTimeout(() => console.log('never'), 0);
console.log('x'.repeat(200000).length);
// As much as a pipe takes at once: of more, node drops what nobody has read yet, warm or cold.
process.stdout.write('y'.repeat(60000) + '\n');
process.exit(4);

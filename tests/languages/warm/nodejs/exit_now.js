// SPDX-License-Identifier: Apache-2.0
setTimeout(() => console.log('never'), 0);
console.log('x'.repeat(200000).length);
process.stdout.write('y'.repeat(100000) + '\n');
process.exit(4);

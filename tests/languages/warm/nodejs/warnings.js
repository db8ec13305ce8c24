// SPDX-License-Identifier: Apache-2.0
process.on('warning', (w) => console.log(w.name, w.message));
new Buffer(1);
process.emitWarning('custom', 'CustomWarning', 'C001');
const e = new (require('events'))();
for (let i = 0; i < 11; i++) e.on('x', () => {});
console.log(require('util').inspect(new Map([[1, { a: [1, 2, { b: 3 }] }]]), { depth: 0 }));

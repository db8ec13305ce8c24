// SPDX-License-Identifier: Apache-2.0
setTimeout(() => console.log('timeout'), 0);
process.nextTick(() => console.log('tick'));
Promise.resolve().then(() => console.log('promise'));
queueMicrotask(() => console.log('microtask'));
(async () => { await 0; console.log('async'); })();
console.log('sync');

// SPDX-License-Identifier: Apache-2.0
for (let i = 0; i < 16384; i++) console.log('x'.repeat(63));
console.error('end');

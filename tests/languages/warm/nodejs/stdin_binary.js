// SPDX-License-Identifier: Apache-2.0
const data = require('fs').readFileSync(0);
console.log(data.length, require('crypto').createHash('sha256').update(data).digest('hex'));
process.stdout.write(data.subarray(0, 64));

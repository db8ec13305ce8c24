// SPDX-License-Identifier: Apache-2.0
function inner() {
  throw new TypeError('uncaught', { cause: new Error('deep') });
}
process.on('exit', (code) => console.log('exit', code));
inner();

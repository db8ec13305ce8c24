// SPDX-License-Identifier: Apache-2.0
console.log('before');
process.kill(process.pid, 'SIGKILL');
setInterval(() => {}, 1000);

// SPDX-License-Identifier: Apache-2.0
process.on('uncaughtException', (e, origin) => { console.log('caught', e.message, origin); process.exitCode = 1; });
setTimeout(() => { throw new Error('late'); }, 1);
process.on('unhandledRejection', (reason) => console.log('rejected', reason));
Promise.reject(1);

// SPDX-License-Identifier: Apache-2.0
process.exitCode = 3;
process.on('beforeExit', () => console.log('before exit'));
setTimeout(() => console.log('later'), 1);

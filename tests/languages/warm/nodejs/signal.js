// SPDX-License-Identifier: Apache-2.0
const timer = setInterval(() => {}, 1000);
process.on('SIGTERM', (name, number) => { console.log(name, number); clearInterval(timer); process.exitCode = 7; });
process.kill(process.pid, 'SIGTERM');

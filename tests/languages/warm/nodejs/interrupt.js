// SPDX-License-Identifier: Apache-2.0
process.kill(process.pid, 'SIGINT');
setInterval(() => {}, 1000);

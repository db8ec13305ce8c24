// SPDX-License-Identifier: Apache-2.0
const { Worker, isMainThread, parentPort, workerData, threadId } = require('worker_threads');
if (isMainThread) {
  const w = new Worker(__filename, { workerData: [1, 2], argv: ['x'] });
  w.on('message', (m) => console.log(m)).on('exit', (code) => console.log('worker ended', code));
} else {
  parentPort.postMessage([workerData, threadId, process.argv.slice(2), process.execArgv, Object.keys(require.cache), process.env.NODE_OPTIONS]);
  process.exitCode = 2;
}

// SPDX-License-Identifier: Apache-2.0
// Has every image of the shared data directory booted and captured, so that in the tests no VM is
// there but their own.
import { Daemon } from './holm.mjs';
import { Api } from './native.mjs';

const daemon = await Daemon.start();
const at = Date.now();
await daemon.ready();
const api = new Api(daemon); // the default image in the default machine
await api.delete((await api.launch()).id);
api.close();
const code = await daemon.stop();
const left = daemon.leftovers();
console.log(`# images prepared in ${Date.now() - at} ms`);
if (code !== 0 || left.length) {
  console.log(`not ok - preparing images: exit status ${code}, left: ${left}\n${daemon.log.slice(-3000)}`);
  process.exitCode = 1;
}

// SPDX-License-Identifier: Apache-2.0
const { execFileSync, spawnSync, fork } = require('child_process');
console.log(execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8' }).split('\n'));
console.log(execFileSync('env', { encoding: 'utf8' }));
console.log(execFileSync(process.execPath, ['-p', 'JSON.stringify([process.argv, process.execArgv, process.env])'], { encoding: 'utf8' }));
console.log(spawnSync('sh', ['-c', 'echo out; echo err >&2; exit 5'], { encoding: 'utf8' }).status);
if (process.argv[2] !== 'child')
  fork(__filename, ['child']).on('exit', (code) => console.log('forked', code));
else
  process.exit(6);

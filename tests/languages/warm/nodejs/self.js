// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
console.log(process.argv, process.execArgv, process.execPath, process.title, __filename, __dirname);
console.log(require.main === module, module.id, module.loaded, module.children, module.paths, module.parent);
console.log(Object.keys(require.cache), Object.keys(require.extensions), process._preload_modules);
console.log(process.cwd(), process.env, process.config.variables.napi_build_version > 0);
console.log(process.versions.node, process.release.name, process.exitCode, process.umask(), process.getuid(), process.getgroups());
console.log(fs.readdirSync('/proc/self/fd').length, process.stdin.constructor.name, process.stdout.constructor.name, process.stdout.writableHighWaterMark);
console.log(Object.keys(globalThis), process.listenerCount('exit'), process.eventNames());
console.log(process._getActiveHandles().length, process._getActiveRequests().length, new Error('here').stack);
console.log(process.allowedNodeEnvironmentFlags.size, process.env.NODE_OPTIONS, 'NODE_OPTIONS' in process.env);
console.log(Object.keys(require('module')._pathCache), Object.keys(require('module')._cache));
console.log(fs.readFileSync('/proc/self/status', 'utf8').match(/^(Sig|Shd|NoNew).*/gm));

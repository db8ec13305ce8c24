// SPDX-License-Identifier: Apache-2.0
// What a node that has rehearsed could show: resources, their numbers, what was loaded.
const {AsyncResource, executionAsyncId, triggerAsyncId} = require('async_hooks');
const id = () => new AsyncResource('x').asyncId();
const timer = setTimeout(() => {}, 1);
timer._idleStart = 0; // milliseconds since the start
console.log(timer);
console.log(executionAsyncId(), triggerAsyncId(), id());
console.log(id());
console.log(process._getActiveHandles().length, process._getActiveRequests().length);
console.log(process.getActiveResourcesInfo());
console.log(process.stdout.bytesWritten, process.stdout.constructor.name, process.stderr.fd);
console.log(Object.keys(require.cache), module.children.length, require.main === module);
console.log(process.moduleLoadList.length > 0, Object.keys(require('module')._pathCache));
console.log(process.listenerCount('exit'), process.eventNames());

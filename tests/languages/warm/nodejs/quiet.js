// SPDX-License-Identifier: Apache-2.0
require('module').Module._load('fs');
for (const name of require('module').builtinModules.filter((n) => !n.startsWith('_') && !/trace|wasi|inspector/.test(n)))
  require(name);
console.log(typeof performance.now(), performance.now() > 0, performance.timeOrigin <= Date.now(), process.uptime() > 0);
console.log(Math.random() >= 0, require('crypto').randomBytes(8).length, new Date(0).toString(), Intl.DateTimeFormat().resolvedOptions().timeZone);

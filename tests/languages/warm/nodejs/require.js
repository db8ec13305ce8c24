// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
fs.mkdirSync('lib');
fs.writeFileSync('lib/index.js', 'exports.who = __filename; exports.parent = module.parent.filename; exports.main = require.main.filename;');
fs.writeFileSync('data.json', '{"a": [1, 2]}');
console.log(require('./lib'), require('./data'), Object.keys(require.cache));
console.log(require.resolve('./lib'), module.children.map((m) => m.id));
try {
  require('./missing');
} catch (e) {
  console.log(e.code, e.message);
}
require('missing-package');

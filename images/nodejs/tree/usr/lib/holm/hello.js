// SPDX-License-Identifier: Apache-2.0
// What a node that waits rehearses with (wait.js).
'use strict';
module.exports = require('path').join('a', 'b');

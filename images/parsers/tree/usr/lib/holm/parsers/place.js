// SPDX-License-Identifier: Apache-2.0
'use strict';

// The line and column, from 1 on, of a character of a text; of what counts from 0, in code units.
exports.placeOf = (text, offset) => {
  const before = text.slice(0, offset).split('\n');
  return {line: before.length, column: [...before.at(-1)].length + 1};
};

// SPDX-License-Identifier: Apache-2.0
'use strict';

// PostgreSQL's own parser, as libpg-query has it.

const {loadModule, parseSync} = require('libpg-query');
const {placeOf} = require('./place.js');

// It counts characters, from 1 on; 0: it does not say where.
function placeOfCharacter(text, position) {
  const before = [...text].slice(0, position - 1).join('');
  return position > 0 ? placeOf(text, before.length) : {};
}

exports.library = 'libpg-query';

exports.parse = async (text) => {
  await loadModule();
  try {
    return parseSync(text);
  } catch (error) {
    throw Object.assign(error, placeOfCharacter(text, error.sqlDetails?.cursorPosition));
  }
};

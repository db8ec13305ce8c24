// SPDX-License-Identifier: Apache-2.0
'use strict';

// Dialects of node-sql-parser, each of which is a file of its own there.

module.exports = (dialect) => {
  const {Parser} = require(`node-sql-parser/build/${dialect}.js`);
  const parser = new Parser();
  return {
    library: 'node-sql-parser',
    parse(text) {
      try {
        return [parser.astify(text, {database: dialect})].flat();
      } catch (error) {
        throw Object.assign(error, error.location?.start);
      }
    },
  };
};

// SPDX-License-Identifier: Apache-2.0
'use strict';

// Redis commands, one a line, in words as redis-cli has them: "with \n, \x41 and the like", 'with \'',
// or plain. Which commands there are, and with how many words, is in @ioredis/commands.

const commands = require('@ioredis/commands/built/commands.json');
const {getKeyIndexes} = require('@ioredis/commands');

const ESCAPES = {n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07'};
const DOUBLE = /"((?:[^"\\]|\\.)*)"/uy;
const SINGLE = /'((?:[^'\\]|\\.)*)'/uy;
const PLAIN = /[^\s"']+/uy;
const SPACE = /\s*/uy;

function wrong(message, line, column) {
  return Object.assign(new Error(message), {line, column});
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

// \xHH are bytes, and what is around them is UTF-8.
function unescapeDouble(text) {
  const bytes = [];
  for (const [piece, hex, escaped] of text.matchAll(/\\x([0-9a-f]{2})|\\(.)|[^\\]+|\\/giu)) {
    if (hex)
      bytes.push(Buffer.from(hex, 'hex'));
    else
      bytes.push(Buffer.from(escaped ? ESCAPES[escaped] ?? escaped : piece));
  }
  return Buffer.concat(bytes).toString();
}

const unescapeSingle = (text) => text.replace(/\\'/gu, "'");

// The word at a place of a line, and where it ends.
function readWord(text, at, line) {
  let value = '';
  for (let end = at; ; ) {
    const quoted = match(DOUBLE, text, end) ?? match(SINGLE, text, end);
    const found = quoted ?? match(PLAIN, text, end);
    if (!found)
      throw wrong('a quote that is never closed', line, end + 1);
    value += !quoted ? found[0] : text[end] === '"' ? unescapeDouble(found[1]) : unescapeSingle(found[1]);
    end += found[0].length;
    if (end === text.length || /\s/u.test(text[end]))
      return {value, end};
    if (quoted)
      throw wrong('a space must follow the closing quote', line, end + 1);
  }
}

function readWords(text, line) {
  const words = [];
  for (let at = match(SPACE, text, 0)[0].length; at < text.length;) {
    const {value, end} = readWord(text, at, line);
    words.push({value, column: at + 1});
    at = end + match(SPACE, text, end)[0].length;
  }
  return words;
}

// Not what every object has.
const own = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

function describe(words, line) {
  const [{value: name, column}, ...rest] = words;
  const command = own(commands, name.toLowerCase());
  if (!command)
    throw wrong(`unknown command '${name}'`, line, column);
  const {subcommands} = command;
  const sub = own(subcommands, rest[0]?.value.toLowerCase());
  if (subcommands && rest.length && !sub)
    throw wrong(`unknown subcommand '${rest[0].value}' of '${name}'`, line, rest[0].column);
  const {arity} = sub ?? command;
  if (arity < 0 ? words.length < -arity : words.length !== arity)
    throw wrong(`wrong number of arguments for '${sub ? `${name} ${rest[0].value}` : name}'`, line, column);
  return {command: name.toLowerCase(), ...sub && {subcommand: rest[0].value.toLowerCase()}};
}

// Which of the arguments are keys.
function keysOf(command, args) {
  try {
    return getKeyIndexes(command, args).map((index) => args[index]);
  } catch {
    return []; // it depends on an argument that is not there
  }
}

exports.library = '@ioredis/commands';

exports.parse = (text) => text.split(/\r?\n/u).flatMap((content, i) => {
  const words = readWords(content, i + 1);
  if (!words.length)
    return [];
  const described = describe(words, i + 1);
  const args = words.slice(1).map(({value}) => value);
  return [{line: i + 1, ...described, arguments: args, keys: keysOf(described.command, args)}];
});

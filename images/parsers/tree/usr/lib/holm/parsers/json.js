// SPDX-License-Identifier: Apache-2.0
'use strict';

// JSON, read so that it is known where everything stands. A node is {offset, value}, of an array with
// `items`, nodes, of an object with `members`, {key, offset, node}.

const {placeOf} = require('./place.js');

const SPACE = /[ \t\n\r]*/y;
const TOKEN = /[{}[\]:,]|"(?:[^"\\\0-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

const isValue = (token) => /^["\-\dtfn]/.test(token);

class Reader {
  constructor(text) {
    this.text = text;
    this.offset = 0;
    this.next();
  }

  wrong(message, offset = this.start) {
    return Object.assign(new Error(message), placeOf(this.text, offset));
  }

  // The token to be looked at; "": the end.
  next() {
    SPACE.lastIndex = this.offset;
    SPACE.exec(this.text);
    this.start = TOKEN.lastIndex = SPACE.lastIndex;
    this.token = TOKEN.exec(this.text)?.[0] ?? '';
    this.offset = this.start + this.token.length;
  }

  unexpected(wanted) {
    const found = this.start === this.text.length ? 'the end' : this.token || this.text[this.start];
    return this.wrong(`${wanted} expected, found ${found}`);
  }

  take(token) {
    if (this.token !== token)
      throw this.unexpected(token);
    this.next();
  }

  // What is between brackets, separated by commas.
  list(open, close, element) {
    this.take(open);
    const elements = [];
    while (this.token !== close) {
      if (elements.length)
        this.take(',');
      elements.push(element());
    }
    this.take(close);
    return elements;
  }

  member() {
    const {start: offset, token} = this;
    if (token[0] !== '"')
      throw this.unexpected('a key in double quotes');
    this.next();
    this.take(':');
    return {key: JSON.parse(token), offset, node: this.node()};
  }

  node() {
    const {start: offset, token} = this;
    if (token === '{') {
      const members = this.list('{', '}', () => this.member());
      return {offset, members, value: Object.fromEntries(members.map(({key, node}) => [key, node.value]))};
    }
    if (token === '[') {
      const items = this.list('[', ']', () => this.node());
      return {offset, items, value: items.map(({value}) => value)};
    }
    if (!isValue(token))
      throw this.unexpected('a value');
    this.next();
    return {offset, value: JSON.parse(token)};
  }

  whole() {
    const node = this.node();
    if (this.start !== this.text.length)
      throw this.unexpected('the end');
    return node;
  }
}

exports.Reader = Reader;

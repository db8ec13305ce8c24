// SPDX-License-Identifier: Apache-2.0
'use strict';

// MongoDB's extended JSON: a pipeline of stages, one or several commands, or one or several documents
// (filters, updates). Its types are checked by MongoDB's own bson, its operators by mongodb.json.

const {EJSON} = require('bson');
const {Reader} = require('./json.js');
const known = Object.fromEntries(
  Object.entries(require('./mongodb.json')).map(([kind, names]) => [kind, new Set(names.split(' '))]),
);

const isOperator = (key) => key.startsWith('$');
const isStage = ({members}) => members?.length === 1 && isOperator(members[0].key);
const isCommand = ({members}) => members?.length > 0 && known.commands.has(members[0].key);
const isType = ({members}) => members?.length > 0 && known.types.has(members[0].key);

class Checker {
  constructor(text) {
    this.reader = new Reader(text);
  }

  check(node) {
    if (isType(node))
      this.checkType(node);
    else if (node.members)
      node.members.forEach((member) => this.checkMember(member));
    else
      node.items?.forEach((item) => this.check(item));
  }

  checkType(node) {
    try {
      EJSON.deserialize(node.value);
    } catch (error) {
      throw this.reader.wrong(error.message, node.offset);
    }
  }

  checkMember({key, offset, node}) {
    if (isOperator(key) && !known.operators.has(key.slice(1)))
      throw this.reader.wrong(`unknown operator ${key}`, offset);
    if (key === 'pipeline' && node.items)
      this.pipeline(node);
    else
      this.check(node);
  }

  stage(node) {
    if (!isStage(node))
      throw this.reader.wrong('a stage expected: an object with one member, whose name begins with $', node.offset);
    const [{key, offset, node: argument}] = node.members;
    if (!known.stages.has(key.slice(1)))
      throw this.reader.wrong(`unknown stage ${key}`, offset);
    if (key === '$facet' && argument.members)
      argument.members.forEach((member) => this.pipeline(member.node));
    else
      this.check(argument);
    return {stage: key, argument: argument.value};
  }

  pipeline({items, offset}) {
    if (!items)
      throw this.reader.wrong('a list of stages expected', offset);
    return items.map((item) => this.stage(item));
  }

  command(node) {
    if (!isCommand(node))
      throw this.reader.wrong(`unknown command ${node.members?.[0]?.key ?? ''}`, node.offset);
    this.check(node);
    const [[command, argument], ...options] = Object.entries(node.value);
    return {command, argument, options: Object.fromEntries(options)};
  }

  document(node) {
    if (!node.members)
      throw this.reader.wrong('a document expected', node.offset);
    this.check(node);
    return node.value;
  }

  tree() {
    const node = this.reader.whole();
    const all = node.items ?? [node];
    if (node.items && all.length && isStage(all[0]) && !isType(all[0]))
      return {type: 'pipeline', stages: this.pipeline(node)};
    if (all.length && isCommand(all[0]))
      return {type: 'commands', commands: all.map((item) => this.command(item))};
    return {type: 'documents', documents: all.map((item) => this.document(item))};
  }
}

exports.library = 'bson';

exports.parse = (text) => new Checker(text).tree();

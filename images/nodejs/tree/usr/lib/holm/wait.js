// SPDX-License-Identifier: Apache-2.0
'use strict';

// A node that waits for its program (docs/agent-protocol.md, programs that wait).
//
// It is preloaded by NODE_OPTIONS: node is up, its main program has not been looked at. It waits
// here until it is told arguments, environment and directory, applies them, removes what has been
// noted of this file, and returns; node then opens the program as it would have.

const fs = require('fs');
const Module = require('module');

const JOBS = 3;
const READY = 4;

// Workers preload it, too, and somebody may set the option for other reasons.
function isOurs() {
  try {
    return !process.chdir.disabled && fs.fstatSync(JOBS).isFIFO() && fs.fstatSync(READY).isFIFO();
  } catch {
    return false;
  }
}

function read(size) {
  const data = Buffer.alloc(size);
  for (let n = 0; n < size;) {
    const got = fs.readSync(JOBS, data, n, size - n, null);
    if (got === 0)
      process.reallyExit(0); // nobody wants this one any more
    n += got;
  }
  return data.toString('utf8');
}

// The fields of one job: verb, directory, arguments, environment.
function readJob() {
  let size = '';
  for (let c; (c = read(1)) !== '\n';)
    size += c;
  const fields = read(Number(size)).split('\0');
  let at = 0;
  const take = () => fields[at++];
  const takeList = () => Array.from({length: Number(take())}, take);
  return {verb: take(), directory: take(), args: takeList(), env: takeList()};
}

// Clones of one machine have drawn the same numbers until now.
function reseed(v8) {
  const seed = Buffer.alloc(4);
  const fd = fs.openSync('/dev/urandom', 'r');
  fs.readSync(fd, seed, 0, 4, null);
  fs.closeSync(fd);
  v8.setFlagsFromString(`--random-seed=${(seed.readUInt32LE() >>> 1) || 1}`);
  Math.random();
  v8.setFlagsFromString('--random-seed=0');
}

function setEnvironment(env) {
  for (const name of Object.keys(process.env))
    delete process.env[name];
  for (const variable of env) {
    const at = variable.indexOf('=');
    process.env[variable.slice(0, at)] = variable.slice(at + 1);
  }
}

// Nothing knows any more that this file was loaded.
function drop(filename) {
  delete Module._cache[filename];
  for (const path of Object.keys(Module._pathCache))
    if (Module._pathCache[path] === filename)
      delete Module._pathCache[path];
  module.children.length = 0;
}

function forget(before) {
  drop(__filename);
  if (module.parent)
    module.parent.children.splice(module.parent.children.indexOf(module), 1);
  process._preload_modules.length = 0;
  process.moduleLoadList.length = before;
}

// The counter of what timers, streams and the like are numbered by.
function asyncIds() {
  process.noDeprecation = true;
  const {async_id_fields: ids, constants: {kAsyncIdCounter}} = process.binding('async_wrap');
  delete process.noDeprecation;
  return {ids, kAsyncIdCounter};
}

// Does what most programs do first, so that node's own code for it is loaded and compiled: loads a
// program, and prints by a stream as process.stdout will be one (what is written before the job is
// thrown away). The stream stays, since its end would be the output's; nothing refers to it.
function rehearse() {
  const {ids, kAsyncIdCounter} = asyncIds();
  const counter = ids[kAsyncIdCounter];
  const net = require('net');
  const stream = new net.Socket({fd: 1, readable: false, writable: true});
  stream.unref();
  stream.write('rehearsed\n');
  const program = `${__dirname}/hello.js`;
  require(program);
  drop(program);
  process._tickCallback(); // what the stream has put off
  ids[kAsyncIdCounter] = counter;
}

const youngBytes = (v8) => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_used_size;

// Leaves little in the young generation of the heap: what is in use moves out of it in the second collection. Else there would be a
// collection when the program has hardly begun. One comes when enough was allocated.
function collect(v8) {
  for (let collections = 0; collections < 2;) {
    const used = youngBytes(v8);
    for (let i = 0; i < 8; i++)
      new Array(1024).fill(0);
    if (youngBytes(v8) < used)
      collections++;
  }
}

function wait() {
  const before = process.moduleLoadList.length;
  const v8 = require('v8');
  rehearse();
  for (;;) {
    collect(v8);
    fs.writeSync(READY, 'R');
    const job = readJob();
    if (job.verb !== 'run')
      continue;
    fs.closeSync(JOBS);
    fs.closeSync(READY);
    reseed(v8);
    setEnvironment(job.env);
    process.argv.push(...job.args);
    process.chdir(job.directory);
    forget(before);
    return;
  }
}

if (isOurs())
  wait();
else if (process.chdir.disabled)
  forget(process.moduleLoadList.length); // a worker of a program that is one of ours

// SPDX-License-Identifier: Apache-2.0
'use strict';

// main.js [--wait] NAME FILE: prints the syntax tree of FILE, in the language that NAME parses, as JSON.
// What is wrong with it goes to standard error, with its place, and makes the exit code 1. With --wait it
// is told when the file is there (docs/agent-protocol.md, programs that wait), and rehearses itself.
// main.js NAME --version: what the parser is made of.

const fs = require('fs');

const JOBS = 3;
const READY = 4;

const waits = process.argv[2] === '--wait';
const [name, file] = process.argv.slice(waits ? 3 : 2);
const parser = require(`${__dirname}/${name}.js`);

function showVersion() {
  const {version} = require(`${__dirname}/node_modules/${parser.library}/package.json`);
  console.log(`${parser.library} ${version}`);
}

// A parser throws what has `line` and `column`, from 1 on, where it knows them.
function describe({line, column, message}) {
  return `${line ? `${file}:${line}:${column}` : file}: ${message}\n`;
}

// What a program makes it print, and where to.
async function translate(directory) {
  const text = fs.readFileSync(`${directory}/${file}`, 'utf8');
  try {
    return {stdout: `${JSON.stringify(await parser.parse(text), null, 2)}\n`};
  } catch (error) {
    return {stderr: describe(error)};
  }
}

function read(size) {
  const data = Buffer.alloc(size);
  for (let n = 0; n < size;) {
    const got = fs.readSync(JOBS, data, n, size - n, null);
    if (got === 0)
      process.exit(); // nobody wants this one any more
    n += got;
  }
  return data.toString();
}

// Of a job it is only the verb and the directory that make a difference here.
function readJob() {
  let size = '';
  for (let c; (c = read(1)) !== '\n';)
    size += c;
  const [verb, directory] = read(Number(size)).split('\0');
  return {verb, directory};
}

// Returns the directory of the program.
async function wait() {
  for (;;) {
    fs.writeSync(READY, 'R');
    const {verb, directory} = readJob();
    if (verb === 'run') {
      fs.closeSync(JOBS);
      fs.closeSync(READY);
      return directory;
    }
    await translate(directory);
  }
}

async function main() {
  if (file === '--version') {
    showVersion();
    return;
  }
  const {stdout, stderr} = await translate(waits ? await wait() : '.');
  if (stderr)
    process.exitCode = 1;
  process[stderr ? 'stderr' : 'stdout'].write(stderr ?? stdout);
}

main();

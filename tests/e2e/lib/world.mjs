// SPDX-License-Identifier: Apache-2.0
// The outside as VMs see it: a host in a network namespace of its own, joined to this one by a veth
// pair. It serves TCP and UDP on every address it has, answers DNS, and dials where it is told to.
//
// The process in the namespace is this file too (see the end). It is told what to do by lines of
// JSON, and ends when its standard input does; so nothing of it is left when a test is killed but the
// namespace, which the next start removes.
import { execFileSync, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const NS = 'htworld', DEVICE = 'htworld';

// Addresses for documentation, which nobody has. `local` is link-local: what no policy opens.
export const ONE = ['198.51.100.2', '2001:db8:51::2'];
export const TWO = ['198.51.100.3', '2001:db8:51::3'];
export const HOST = ['198.51.100.1', '2001:db8:51::1'];
export const LOCAL = '169.254.77.77';
export const NAMES = {
  'one.test': ONE, 'two.test': TWO, 'www.deep.one.test': ONE, 'inner.test': [LOCAL, 'fe80::77'],
  'other.example': TWO,
};
export const ALIASES = { 'alias.test': 'one.test' };
export const TCP_PORTS = [7000, 7001, 7002, 7009];
export const UDP_PORTS = [7000, 7001];
export const SINK_PORT = 7999;

const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });

function attempt(program, ...args) {
  try { execFileSync(program, args, { stdio: 'ignore' }); } catch { /* it is gone already */ }
}

function remove() {
  attempt('ip', 'link', 'delete', DEVICE);
  attempt('ip', 'netns', 'delete', NS);
}

// What a daemon with this prefix has made, if anything of it is left.
export function removeNetworks(prefix) {
  const slots = readdirSync('/run/netns').filter((name) => /^-\d+$/.test(name.slice(prefix.length)) && name.startsWith(prefix));
  for (const slot of slots) {
    attempt('ip', 'link', 'delete', slot.replace('-', ''));
    attempt('ip', 'netns', 'delete', slot);
  }
  if (slots.length) attempt('nft', 'delete', 'table', 'inet', prefix);
}

function build(pools) {
  remove();
  ip('netns', 'add', NS);
  ip('link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', NS);
  ip('address', 'add', `${HOST[0]}/24`, 'dev', DEVICE);
  ip('address', 'add', `${HOST[1]}/64`, 'dev', DEVICE, 'nodad');
  ip('link', 'set', DEVICE, 'up');
  ip('-n', NS, 'link', 'set', 'lo', 'up');
  ip('-n', NS, 'link', 'set', 'eth0', 'up');
  for (const address of [ONE[0], TWO[0]]) ip('-n', NS, 'address', 'add', `${address}/24`, 'dev', 'eth0');
  ip('-n', NS, 'address', 'add', `${ONE[1]}/64`, 'dev', 'eth0', 'nodad');
  // Never the source of what this host begins: that is ONE, as with IPv4.
  ip('-n', NS, 'address', 'add', `${TWO[1]}/64`, 'dev', 'eth0', 'nodad', 'preferred_lft', '0');
  ip('-n', NS, 'address', 'add', `${LOCAL}/32`, 'dev', 'eth0');
  ip('route', 'add', `${LOCAL}/32`, 'dev', DEVICE);
  for (const [i, pool] of pools.entries()) ip('-n', NS, 'route', 'add', pool, 'via', HOST[i]);
}

export class World {
  // pools: the ranges of hostAddresses, IPv4 and IPv6, which the outside host routes to this one.
  static async start(pools) {
    const world = new World();
    process.on('exit', remove);
    build(pools);
    world.child = spawn('ip', ['netns', 'exec', NS, process.execPath, fileURLToPath(import.meta.url), 'serve'],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    world.ended = new Promise((resolve) => { world.child.on('exit', resolve); });
    world.waiting = [];
    createInterface({ input: world.child.stdout }).on('line', (line) => world.waiting.shift()(JSON.parse(line)));
    await world.ask({ op: 'hello' });
    return world;
  }

  // One after the other; answers come in the order of questions.
  ask(what) {
    return new Promise((resolve, reject) => {
      this.waiting.push((answer) => (answer.failed ? reject(new Error(answer.failed)) : resolve(answer.result)));
      this.child.stdin.write(`${JSON.stringify(what)}\n`);
    });
  }

  // The first line that a server says, or why there is none.
  dial(host, port, patienceMs = 20_000) {
    return this.ask({ op: 'dial', host, port, patienceMs });
  }

  // Names that were asked for since the last call.
  questions() {
    return this.ask({ op: 'questions' });
  }

  async stop() {
    this.child.stdin.end();
    await this.ended;
    remove();
    process.off('exit', remove);
  }
}

// The first line of a TCP server, or the error's code.
export function dial(host, port, patienceMs = 20_000) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const timer = setTimeout(() => done('silence'), patienceMs);
    let text = '';
    function done(word) {
      clearTimeout(timer);
      socket.destroy();
      resolve(word);
    }
    socket.on('error', (e) => done(e.code)).on('end', () => done('end')).on('data', (data) => {
      text += data;
      if (text.includes('\n')) done(text.split('\n')[0]);
    });
  });
}

// --- in the namespace ---

const plain = (address) => address.replace(/^::ffff:/, '');

// Says who is there, then sends back what it gets.
function echo(socket) {
  socket.on('error', () => {});
  socket.write(`${plain(socket.remoteAddress ?? '')}\n`);
  socket.pipe(socket);
}

// Takes everything and says in the end how much it was.
function sink(socket) {
  let bytes = 0;
  socket.on('data', (data) => { bytes += data.length; }).on('error', () => {}).on('end', () => socket.end(`${bytes}\n`));
}

const asked = [];

function nameBytes(name) {
  return Buffer.concat([...name.split('.').map((l) => Buffer.concat([Buffer.from([l.length]), Buffer.from(l)])), Buffer.from([0])]);
}

function record(name, type, data) {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(1, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([nameBytes(name), fixed, data]);
}

function addressBytes(address, family) {
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  const [head, tail] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const groups = [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return Buffer.concat(groups.map((group) => Buffer.from(group.padStart(4, '0'), 'hex')));
}

function answerTo(message) {
  const labels = [];
  let at = 12;
  while (message[at]) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
    at += 1 + message[at];
  }
  const question = message.subarray(12, at + 5), type = message.readUInt16BE(at + 1);
  const name = labels.join('.').toLowerCase(), real = ALIASES[name] ?? name;
  asked.push(name);
  const answers = real === name ? [] : [record(name, 5, nameBytes(real))];
  const address = NAMES[real]?.[type === 1 ? 0 : 1];
  if (address && (type === 1 || type === 28)) answers.push(record(real, type, addressBytes(address, type === 1 ? 4 : 6)));
  const head = Buffer.alloc(12);
  message.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | (NAMES[real] ? 0 : 3), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  return Buffer.concat([head, question, ...answers]);
}

function dnsOverTcp(socket) {
  let data = Buffer.alloc(0);
  socket.on('error', () => {}).on('data', (part) => {
    data = Buffer.concat([data, part]);
    if (data.length < 2 || data.length < 2 + data.readUInt16BE(0)) return;
    const answer = answerTo(data.subarray(2)), prefix = Buffer.alloc(2);
    prefix.writeUInt16BE(answer.length);
    socket.end(Buffer.concat([prefix, answer]));
  });
}

const listening = (server, ...args) => new Promise((resolve, reject) => { server.on('error', reject).listen(...args, resolve); });
const bound = (socket, ...args) => new Promise((resolve, reject) => { socket.on('error', reject).bind(...args, resolve); });

async function serve() {
  for (const port of TCP_PORTS) await listening(net.createServer({ allowHalfOpen: true }, echo), port, '::');
  await listening(net.createServer({ allowHalfOpen: true }, sink), SINK_PORT, '::');
  await listening(net.createServer(dnsOverTcp), 53, '::');
  // One socket an address: the answer must come from where it was asked.
  for (const address of [...ONE, ...TWO]) {
    for (const port of [53, ...UDP_PORTS]) {
      const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (data, from) => socket.send(port === 53 ? answerTo(data) : `${from.address}\n`, from.port, from.address));
      await bound(socket, port, address);
    }
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const { op, host, port, patienceMs } = JSON.parse(line);
    let answer;
    if (op === 'dial') answer = { result: await dial(host, port, patienceMs) };
    else if (op === 'questions') answer = { result: asked.splice(0) };
    else answer = { result: op };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === 'serve') await serve();

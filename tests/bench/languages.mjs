// SPDX-License-Identifier: Apache-2.0
// What each language takes: cold boot, first run, restore, hello warm and cold, and the same without a virtual machine. Writes
// docs/languages.figures.json, of which tools/languages-doc makes docs/languages.md. tests/bench/run starts this and
// cleans up. Each language has a data directory of its own, with its image and a table that has nothing else: so
// nothing else is booted meanwhile, and there is no template before the first run.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Daemon, DATA, ROOT, until } from '../e2e/lib/holm.mjs';
import { Client, post } from './client.mjs';
import { hostFacts, median } from './stats.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, '../..');
const FILE = join(source, 'docs/languages.figures.json');
const NATIVE_SAMPLES = 3;
const RUN_TIMEOUT_S = 300;
const table = JSON.parse(readFileSync(join(source, 'images/languages.json'), 'utf8'));

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { samples: { type: 'string', default: '50' }, seconds: { type: 'string' } },
});
const SAMPLES = Math.min(Number(options.samples), 15);
const names = positionals.filter((word, i) => i !== positionals.indexOf('languages'));

const rootfs = (row) => join(DATA, 'images', row.image, 'rootfs.ext4');
const hello = (row) => row.hello.map((line) => `${line}\n`).join('');
const round = (ms) => Number(ms.toPrecision(3));

// --- the file ---

function readFigures() {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : { machine: undefined, languages: {} };
}

const sorted = (o) => Object.fromEntries(Object.entries(o).sort(([a], [b]) => (a < b ? -1 : 1)));

// A line for each language, so that a change shows what changed.
function writeFigures({ machine, languages }) {
  const rows = Object.entries(sorted(languages)).map(([name, row]) => `  ${JSON.stringify(name)}: ${JSON.stringify(sorted(row))}`);
  const text = `{\n "languages": {\n${rows.join(',\n')}\n },\n "machine": ${JSON.stringify(sorted(machine))}\n}\n`;
  writeFileSync(`${FILE}.new`, text);
  renameSync(`${FILE}.new`, FILE);
}

function thisMachine() {
  const { cpu, cpus, qemu } = hostFacts();
  const { accelerator } = JSON.parse(execFileSync(join(ROOT, 'sbin/holmd'), ['--doctor'], { encoding: 'utf8' }));
  return {
    accelerator, cpu, cores: cpus, qemu, samples: SAMPLES, native_samples: NATIVE_SAMPLES,
    command: 'tests/bench/run languages', date: new Date().toISOString().slice(0, 10),
  };
}

// Figures of two machines in one table would say nothing.
function checkMachine(before, machine) {
  for (const key of ['cpu', 'cores', 'accelerator'])
    if (before && before[key] !== machine[key])
      throw new Error(`${FILE} has figures of another machine (${key}: ${before[key]}, here ${machine[key]}); remove it first`);
}

// --- measuring ---

function dataOf(row) {
  const data = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'lang-'));
  mkdirSync(join(data, 'images'));
  symlinkSync(dirname(rootfs(row)), join(data, 'images', row.image));
  symlinkSync(join(DATA, 'kernel'), join(data, 'kernel'));
  const image = { ...table.images[row.image], default: false };
  writeFileSync(join(data, 'languages.json'), JSON.stringify({ images: { [row.image]: image }, languages: [row] }));
  return data;
}

async function withDaemon(data, set, work) {
  const daemon = await Daemon.start({
    data,
    set: {
      'paths.languages': join(data, 'languages.json'), 'pool.prepare_wait_s': 1800,
      'vms.image': 'none', // no image of launches is booted
      ...set,
    },
  });
  try {
    return await work(daemon);
  } finally {
    await daemon.stop();
  }
}

async function ask(client, row, more = {}) {
  const body = { language: row.name, code: hello(row), timeout: RUN_TIMEOUT_S, ...more };
  const at = performance.now();
  const answer = await client.send(post('/api/v1/execute', body));
  const took = performance.now() - at;
  const json = JSON.parse(answer.body);
  if (answer.status !== 200 || json.stdout !== (row.expect ?? 'Hello, World!\n')) throw new Error(`${row.name}: ${answer.status} ${answer.body}`);
  return { took, load: json.load_time_us / 1000, exec: json.exec_time_us / 1000 };
}

async function withoutPool(data, row) {
  return withDaemon(data, {}, async (daemon) => {
    const client = await Client.connect(daemon.address);
    const first = await ask(client, row);
    const [, boot] = / booted total_ms=([0-9]+)/.exec(daemon.log);
    const loads = [], execs = [];
    for (let i = 0; i < SAMPLES; i++) {
      await until(async () => (await daemon.metric('holm_vms')) === 0, 'the last VM to end');
      const { load, exec } = await ask(client, row, { cold: true });
      loads.push(load);
      execs.push(exec);
    }
    client.close();
    return { boot_ms: Number(boot), first_run_ms: first.load, restore_ms: median(loads), hello_cold_ms: median(execs) };
  });
}

async function withPool(data, row) {
  return withDaemon(data, { [`pool.${row.name}`]: 1 }, async (daemon) => {
    const client = await Client.connect(daemon.address);
    const samples = [];
    for (let i = 0; i < SAMPLES; i++) {
      await daemon.pooled(row.name, 1);
      samples.push((await ask(client, row)).took);
    }
    client.close();
    return { hello_warm_ms: median(samples) };
  });
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// What the daemon gives a program (program.c) and the row's own; native adds the image's.
function nativeSpec(row) {
  const run = row.run.split(' ').map((word) => quoted(word === '{file}' ? row.file : word)).join(' ');
  const variables = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/home/user', 'USER=user',
    'LOGNAME=user', 'LANG=C.UTF-8', 'SHELL=/bin/sh', ...Object.entries(row.env ?? {}).map(([k, v]) => `${k}=${v}`)];
  const command = row.compile ? `${row.compile} </dev/null >&2 && exec ${run}` : `exec ${run}`;
  return `FILE=${quoted(row.file)}\nSOURCE=${quoted(hello(row))}\nCOMMAND=${quoted(command)}\n`
    + `EXPECT=${quoted(row.expect ?? 'Hello, World!\n')}\nVARIABLES=(${variables.map(quoted).join(' ')})\n`;
}

async function natively(data, row) {
  const dir = join(data, 'native');
  mkdirSync(dir);
  const child = spawn(join(here, 'native'), [rootfs(row), dir, String(NATIVE_SAMPLES)], { stdio: ['pipe', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  try {
    let out = '', errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { out += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { errors += text; });
    child.stdin.on('error', () => {}).end(nativeSpec(row));
    const code = await new Promise((resolve, reject) => { child.on('error', reject).on('close', resolve); });
    if (code !== 0) throw new Error(`natively: ${errors.trim() || `exit code ${code}`}`);
    return { native_ms: median(out.trim().split('\n').map((us) => Number(us) / 1000)) };
  } finally {
    process.off('exit', kill);
  }
}

// A part that fails leaves its figures out; the others are there.
async function measure(row) {
  const data = dataOf(row);
  const figures = {};
  try {
    for (const part of [withoutPool, withPool, natively]) {
      try {
        Object.assign(figures, await part(data, row));
      } catch (error) {
        console.log(`  ${row.name}, ${part.name}: failed: ${error.message}`);
        process.exitCode = 1;
        if (part === withoutPool) break; // there is no template
      }
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, round(value)]));
}

const unknown = names.filter((name) => !table.languages.some((row) => row.name === name));
if (unknown.length) throw new Error(`no language ${unknown.join(', ')}`);
const machine = thisMachine();
const figures = readFigures();
checkMachine(figures.machine, machine);
for (const row of table.languages.filter((r) => !names.length || names.includes(r.name))) {
  if (!existsSync(rootfs(row))) {
    console.log(`${row.name}: no image ${row.image}`);
    if (names.length) process.exitCode = 1;
    continue;
  }
  const result = await measure(row);
  if (Object.keys(result).length) {
    figures.languages[row.name] = result;
    writeFigures({ ...figures, machine });
  }
  console.log(`${row.name}: ${Object.entries(result).map(([key, value]) => `${key} ${value}`).join(', ')}`);
}
execFileSync(join(source, 'tools/languages-doc'), ['--write']);

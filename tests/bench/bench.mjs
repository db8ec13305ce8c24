// SPDX-License-Identifier: Apache-2.0
// The figures, one function each, as rows of a table. tests/bench/run starts this and cleans up.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Daemon, DATA, until } from '../e2e/lib/holm.mjs';
import { Guest } from '../lib/guest.mjs';
import { Client, get, post } from './client.mjs';
import { rdsFigures } from './rds.mjs';
import { hostFacts, median, percentile } from './stats.mjs';
import { Api } from '../e2e/lib/native.mjs';
import { vmFigures } from './vms.mjs';

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { samples: { type: 'string', default: '50' }, seconds: { type: 'string', default: '60' } },
});
const SAMPLES = Number(options.samples);
const SECONDS = Number(options.seconds);
const COLD_BOOTS = 5;
const POOL = 3;
const HELLO = { language: 'python', code: 'print("Hello, World!")\n' };
const facts = hostFacts();
const table = [];
let coldMs; // of this run; the ratio needs it

const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const now = () => performance.now();

function row(figure, measured, reach, met) {
  table.push({ figure, measured, reach, verdict: met === undefined ? 'reported' : met ? 'met' : 'MISSED' });
  console.log(`  ${figure}: ${measured}`);
}

function save(figure, data) {
  writeFileSync(join(process.env.HOLM_BENCH_OUT, `${figure}.json`), `${JSON.stringify({ figure, host: facts, ...data }, null, 1)}\n`);
}

async function withDaemon(set, languages, work) {
  const daemon = await Daemon.start({ set });
  try {
    await daemon.ready(languages);
    // Nor are others prepared meanwhile, as they are when a daemon starts for the first time.
    const preparing = async () => (await daemon.get('/api/v1/languages')).json.languages.some((l) => l.status === 'preparing');
    await until(async () => !(await preparing()), 'no language to be prepared');
    facts.accelerator ??= JSON.parse(await doctor()).facts.map((f) => `${f.name}: ${f.state}, ${f.detail}`)
      .filter((f) => /kvm|accel/i.test(f));
    return await work(daemon);
  } finally {
    await daemon.stop();
  }
}

async function doctor() {
  const { stdout } = await promisify(execFile)(join(process.env.HOLM_E2E_ROOT, 'sbin/holmd'), ['--doctor']);
  return stdout;
}

// --- The figures ---

// Until a program has run in a guest that was booted from its kernel: what there was before there
// were templates.
async function cold() {
  const samples = [];
  for (let i = 0; i < COLD_BOOTS; i++) {
    const dir = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'cold-'));
    const at = now();
    const guest = await Guest.boot({ dir, kernel: join(DATA, 'kernel'), rootfs: join(DATA, 'images/python/rootfs.ext4') });
    await guest.put('/work/hello.py', HELLO.code);
    const { stdout } = await guest.exec(['/usr/bin/python3', '/work/hello.py'], { uid: 1000 });
    samples.push(now() - at);
    await guest.kill();
    rmSync(dir, { recursive: true });
    if (stdout !== 'Hello, World!\n') throw new Error(`cold boot printed ${stdout}`);
  }
  coldMs = median(samples);
  save('cold', { unit: 'ms', samples });
  row('cold boot of the python image to its hello, p50', ms(coldMs), '(to compare with)');
}

// One request at a time, each when the pool is full again and nothing is being started.
async function latencies(daemon, language, body, count) {
  const client = await Client.connect(daemon.address);
  const request = post('/api/v1/execute', body);
  const samples = [], loads = [], misses = await daemon.metric('holm_pool_misses_total');
  for (let i = 0; i < count; i++) {
    await daemon.pooled(language, POOL);
    const at = now();
    const answer = await client.send(request);
    samples.push(now() - at);
    const json = JSON.parse(answer.body);
    if (answer.status !== 200 || json.exit_code !== 0) throw new Error(answer.body.toString());
    loads.push(json.load_time_us / 1000);
  }
  client.close();
  return { samples, loads, misses: await daemon.metric('holm_pool_misses_total') - misses };
}

async function python() {
  await withDaemon({ 'pool.python': POOL }, ['python'], async (daemon) => {
    const result = await latencies(daemon, 'python', HELLO, SAMPLES);
    const p50 = median(result.samples), p95 = percentile(result.samples, 95);
    save('python', { unit: 'ms', cold_ms: coldMs, ...result });
    row('execute python hello, p50 end to end', ms(p50), '<= 300 ms', p50 <= 300);
    row('execute python hello, p95 end to end', ms(p95), '<= 600 ms', p95 <= 600);
    if (coldMs) row('the same, as a part of a cold boot', `1/${(coldMs / p50).toFixed(1)}`, '<= 1/10', p50 <= coldMs / 10);
  });
}

async function bash() {
  await withDaemon({ 'pool.bash': POOL }, ['bash'], async (daemon) => {
    const result = await latencies(daemon, 'bash', { language: 'bash', code: 'true\n' }, SAMPLES);
    const p50 = median(result.samples);
    save('bash', { unit: 'ms', ...result });
    row('execute bash true, p50', ms(p50), '<= 100 ms', p50 <= 100);
  });
}

// load_time is from the request until its VM's agent was ready, which without a pool is a restore.
async function restore() {
  await withDaemon({}, ['python'], async (daemon) => {
    const samples = [];
    for (let i = 0; i < SAMPLES; i++) {
      await until(async () => (await daemon.metric('holm_vms')) === 0, 'the last VM to end');
      samples.push((await daemon.execute('python', 'pass')).load_time_us / 1000);
    }
    const p50 = median(samples);
    save('restore', { unit: 'ms', samples });
    row('restore to agent ready, pool off, p50', ms(p50), '<= 250 ms', p50 <= 250);
  });
}

async function hammer(daemon, endMs, result) {
  const client = await Client.connect(daemon.address);
  const request = post('/api/v1/execute', HELLO);
  while (now() < endMs) {
    const at = now();
    const answer = await client.send(request);
    if (answer.status === 200 && JSON.parse(answer.body).stdout === 'Hello, World!\n') result.samples.push(now() - at);
    else result.failures.push(`${answer.status} ${answer.body}`);
  }
  client.close();
}

async function sustained() {
  await withDaemon({ 'pool.python': POOL }, ['python'], async (daemon) => {
    await daemon.pooled('python', POOL);
    const result = { samples: [], failures: [] };
    const at = now();
    await Promise.all(Array.from({ length: 4 }, () => hammer(daemon, at + SECONDS * 1000, result)));
    const rate = result.samples.length / ((now() - at) / 1000);
    save('sustained', { unit: 'ms', clients: 4, seconds: SECONDS, rate, ...result });
    row(`python hellos, 4 clients, ${SECONDS} s`, `${rate.toFixed(2)}/s, ${result.failures.length} failures`,
      '>= 5/s, none', rate >= 5 && result.failures.length === 0);
  });
}

// What each language is to reach, in milliseconds; the others are reported.
const HELLO_MS = { python: 50, nodejs: 100, typescript: 150, bash: 60, ruby: 80, java: 400, c: 600, go: 2500, rust: 4000 };

// Those of them whose image is there.
async function present() {
  const daemon = await Daemon.start({ set: {} });
  try {
    const { json } = await daemon.get('/api/v1/languages');
    return json.languages.filter((l) => l.status !== 'missing' && HELLO_MS[l.name]).map((l) => l.name);
  } finally {
    await daemon.stop();
  }
}

const helloOf = async (daemon, name) => (await daemon.get(`/api/v1/languages/${name}`)).json;

// The hello program, as the table of languages has it. tests/bench/run languages has all languages.
async function hellos() {
  const all = {};
  for (const name of await present()) {
    await withDaemon({ [`pool.${name}`]: POOL }, [name], async (d) => {
      const { hello } = await helloOf(d, name);
      const result = await latencies(d, name, { language: name, code: hello, timeout: 120 }, Math.min(SAMPLES, 15));
      const p50 = median(result.samples), reach = HELLO_MS[name];
      all[name] = { p50, ...result };
      row(`hello of ${name}, p50`, ms(p50), `<= ${reach} ms`, p50 <= reach);
    });
  }
  save('hellos', { unit: 'ms', languages: all });
}

// The same commands by hand, again and again in one machine that stays, against a run in a machine of its own.
async function byhand() {
  const all = {}, there = await present();
  for (const name of ['c', 'go', 'rust'].filter((n) => there.includes(n))) {
    const set = { 'pool.default': 0, 'pool.vms': 0, [`pool.${name}`]: POOL, 'network.prefix': 'hbench', 'network.pool': '10.202.0.0/16' };
    await withDaemon(set, [name], async (d) => {
      const l = await helloOf(d, name), hand = [];
      const { samples } = await latencies(d, name, { language: name, code: l.hello, timeout: 120 }, Math.min(SAMPLES, 15));
      const api = new Api(d, undefined, { check: false });
      const vm = await api.launch({ image: l.image, machineType: `c1m${l.memory_mib / 1024}` });
      await api.exec(vm.id, `cat > /work/${l.file}`, { stdin: Buffer.from(l.hello).toString('base64') });
      const command = `cd /work && ${l.compile} && ${l.run}`;
      for (let i = 0; i < 18; i++) {
        const at = now();
        await api.exec(vm.id, command, { user: 'user' });
        if (i >= 3) hand.push(now() - at); // the first ones warm the emulated CPU
      }
      await api.delete(vm.id);
      api.close();
      all[name] = { run: samples, hand };
      const ratio = median(samples) / median(hand);
      row(`hello of ${name}, run against by hand, p50`, `${ms(median(samples))} / ${ms(median(hand))} = ${ratio.toFixed(2)}`, '<= 1.1', ratio <= 1.1);
    });
  }
  save('byhand', { unit: 'ms', languages: all });
}

// Users who come at once, each with a program of their own: {samples, wrong, refused}.
async function together(daemon, users) {
  const samples = [], wrong = [], refused = [];
  await Promise.all(Array.from({ length: users }, async (_, i) => {
    const client = await Client.connect(daemon.address);
    const at = now();
    const answer = await client.send(post('/api/v1/execute', { language: 'python', code: `print("I am ${i}")`, timeout: 300 }));
    const later = Number(/\r\nretry-after: *(\d+)/i.exec(answer.headers)?.[1]);
    if (answer.status === 503 && later > 0) refused.push(later);
    else if (answer.status !== 200 || JSON.parse(answer.body).stdout !== `I am ${i}\n`) wrong.push(`${answer.status} ${answer.body}`);
    else samples.push(now() - at);
    client.close();
  }));
  return { samples, wrong, refused };
}

async function crowd() {
  const users = 50, places = 10;
  const result = {};
  await withDaemon({ 'pool.python': POOL, 'limits.run_wait_s': 600 }, ['python'], async (daemon) => {
    await daemon.pooled('python', POOL);
    result.all = await together(daemon, users);
    const { samples, wrong, refused } = result.all;
    row(`${users} users at once, p50 and p95`, `${ms(median(samples))}, ${ms(percentile(samples, 95))}`, '(reported)');
    row('of them answered wrongly or not', String(wrong.length + refused.length), '0', wrong.length + refused.length === 0);
  });
  const set = { 'pool.python': POOL, 'limits.vms_max': POOL, 'limits.run_queue_max': places, 'limits.run_wait_s': 600 };
  await withDaemon(set, ['python'], async (daemon) => {
    await daemon.pooled('python', POOL);
    result.bounded = await together(daemon, users);
    const { samples, wrong, refused } = result.bounded;
    row(`${users} users at once, a line of ${places}`, `${samples.length} answered, ${refused.length} told to come in ${Math.min(...refused)} to ${Math.max(...refused)} s`,
      'the others 503 with Retry-After', wrong.length === 0 && refused.length > 0);
  });
  save('crowd', { unit: 'ms', users, places, ...result });
}

// What the files of all images take on the disk; one that has several names counts once.
async function disk() {
  const seen = new Map(), images = readdirSync(join(DATA, 'images'));
  for (const image of images) {
    const dir = join(DATA, 'images', image);
    for (const name of readdirSync(dir)) {
      const { ino, blocks } = statSync(join(dir, name));
      seen.set(ino, blocks * 512);
    }
  }
  const bytes = [...seen.values()].reduce((a, b) => a + b, 0), gib = bytes / 2 ** 30;
  save('disk', { unit: 'bytes', images, bytes });
  row(`disk for ${images.length} images`, `${gib.toFixed(1)} GiB`, '<= 12 GiB', gib <= 12);
}

function smaps(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (name) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { pss: kib('Pss'), private: kib('Private_Clean') + kib('Private_Dirty'), rss: kib('Rss') };
}

// The shared part (Pss minus private) is the template and QEMU itself, divided by those who map it.
async function memory() {
  const count = 8;
  await withDaemon({ 'pool.python': count }, ['python'], async (daemon) => {
    await daemon.pooled('python', count);
    await until(async () => (await daemon.metric('holm_vms')) === count, 'only pooled VMs');
    const samples = daemon.monitors().filter((p) => /qemu/.test(p.command)).map((p) => smaps(p.pid));
    const pss = median(samples.map((s) => s.pss)), own = median(samples.map((s) => s.private));
    save('memory', { unit: 'bytes', pooled: count, samples });
    row(`memory of a pooled idle python VM (of ${count})`, `PSS ${mib(pss)} = own ${mib(own)} + share ${mib(pss - own)}`, 'docs/limits.md');
  });
}

async function health() {
  await withDaemon({}, [], async (daemon) => {
    const { stdout } = await promisify(execFile)('wrk', ['-t2', '-c8', '-d10s', '--latency', `${daemon.url}/health`]);
    const rate = Number(/Requests\/sec: +([\d.]+)/.exec(stdout)[1]);
    const bad = /Non-2xx|Socket errors/.test(stdout);
    save('health', { unit: '1/s', rate, wrk: stdout });
    row('GET /health, 8 clients, keep-alive (wrk)', `${Math.round(rate)}/s${bad ? ', with errors' : ''}`, '>= 50000/s', rate >= 50000 && !bad);
  });
}

// One at a time, each when the pool is full again. Nothing is run: what remains is HTTP, JSON, the store, the pool and the agent's protocol.
async function fake() {
  // Its monitor is a test's helper, which is not installed.
  const set = { 'engine.engine': 'fake', 'engine.jail': 'no', 'paths.helper_dir': process.env.HOLM_BENCH_HELPERS, 'pool.bash': 16 };
  await withDaemon(set, ['bash'], async (daemon) => {
    const client = await Client.connect(daemon.address);
    const request = post('/api/v1/execute', { language: 'bash', code: 'true\n' });
    const samples = [];
    for (let i = 0; i < 4 * SAMPLES; i++) {
      await daemon.pooled('bash', 16);
      const at = now();
      const answer = await client.send(request);
      samples.push(now() - at);
      if (answer.status !== 200) throw new Error(answer.body.toString());
    }
    await client.send(get('/health'));
    client.close();
    const p50 = median(samples);
    save('fake', { unit: 'ms', samples });
    row('execute on the fake engine, p50', ms(p50), '<= 1 ms', p50 <= 1);
  });
}

function printTable() {
  const heads = { figure: 'figure', measured: 'measured', reach: 'reach', verdict: '' };
  const columns = Object.keys(heads);
  const width = Object.fromEntries(columns.map((c) => [c, Math.max(...[heads, ...table].map((r) => r[c].length))]));
  console.log(`\n${facts.cpu}, ${facts.cpus} CPUs, ${facts.kernel}, ${facts.qemu}\n${(facts.accelerator ?? []).join('\n')}\n`);
  for (const r of [heads, ...table]) console.log(columns.map((c) => r[c].padEnd(width[c])).join('  ').trimEnd());
  console.log('\nBefore each sample of python, bash and fake the pool is full again (polled: "pooled" of');
  console.log(`/api/v1/languages/LANGUAGE). Samples and facts: ${process.env.HOLM_BENCH_OUT}`);
}

const figures = {
  cold, python, bash, restore, sustained, hellos, byhand, crowd, disk, memory, health, fake,
  ...vmFigures({ withDaemon, row, save, samples: SAMPLES }),
  ...rdsFigures({ withDaemon, row, save, samples: SAMPLES }),
};
for (const name of wanted.length ? wanted : Object.keys(figures)) {
  if (!figures[name]) throw new Error(`no figure ${name}; there are: ${Object.keys(figures).join(' ')}`);
  console.log(name);
  try {
    await figures[name]();
  } catch (error) {
    console.log(`  failed: ${error.message}`);
    row(name, 'failed', '', false);
    process.exitCode = 1;
  }
}
printTable();

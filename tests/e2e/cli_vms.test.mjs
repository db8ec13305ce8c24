// SPDX-License-Identifier: Apache-2.0
// The command line of VMs that stay, as people and scripts use it, in real guests. What it says for
// which answer is in its own tests; here it has to fit the daemon.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { Daemon, ROOT, until } from './lib/holm.mjs';

let daemon;
let dir;
before(async () => {
  dir = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'cli-vms-'));
  daemon = await Daemon.start();
  await daemon.ready(['bash']);
  await ok(['vm', 'create', '--name', 'lab']);
});
after(async () => {
  rmSync(dir, { recursive: true });
  assert.equal(await daemon.close(), 0);
});

// Runs holm, which has to end well and say nothing on stderr; what it printed, without the last line end.
async function ok(args, options) {
  const run = await daemon.holm(args, options);
  assert.deepEqual([run.code, run.stderr], [0, ''], args.join(' '));
  return run.stdout.replace(/\n$/, '');
}

const json = async (args) => JSON.parse(await ok([...args, '--json']));
const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

test('the admin\'s key is found by itself, and a wrong one is said to be wrong', async () => {
  assert.equal((await json(['vm', 'list']))[0].name, 'lab');
  const run = await daemon.holm(['vm', 'list'], { env: { HOLM_API_KEY: 'no-such-key' } });
  assert.equal(run.code, 125);
  assert.match(run.stderr, /the key is from HOLM_API_KEY/);
});

test('exec: streams, exit code, input, user, directory, variables, timeout', async () => {
  assert.deepEqual(await daemon.holm(['vm', 'exec', 'lab', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3']),
    { code: 3, stdout: 'out\n', stderr: 'err\n' });
  const bytes = randomBytes(100_000);
  assert.equal(await ok(['vm', 'exec', '-i', 'lab', 'sha256sum'], { input: bytes }), `${sha(bytes)}  -`);
  assert.equal(await ok(['vm', 'exec', '-u', 'user', '-C', '/tmp', '-e', 'A=b c', 'lab', '--', 'sh', '-c', 'id -un; pwd; echo "$A"']),
    'user\n/tmp\nb c');
  const late = await daemon.holm(['vm', 'exec', '--timeout', '1', 'lab', 'sleep', '100']);
  assert.equal(late.code, 124);
});

test('a signal to holm ends the command', async () => {
  const child = spawn(join(ROOT, 'bin/holm'), ['vm', 'exec', 'lab', '--', 'sh', '-c', 'echo $$; exec sleep 1000'],
    { env: { ...process.env, HOLM_URL: daemon.url, HOLM_DATA: daemon.data } });
  const [pid] = await once(child.stdout.setEncoding('utf8'), 'data');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [143, null]);
  await until(async () => (await daemon.holm(['vm', 'exec', 'lab', 'test', '-e', `/proc/${pid.trim()}`])).code === 1, 'the end of the command');
});

test('a command in the background, its output and its end', async () => {
  const job = await ok(['vm', 'exec', '-d', 'lab', '--', 'sh', '-c', 'echo one; echo two >&2; exit 5']);
  assert.deepEqual(await daemon.holm(['vm', 'output', 'lab', job.slice(0, 8)]), { code: 5, stdout: 'one\n', stderr: 'two\n' });
  const sleeper = await ok(['vm', 'exec', '-d', 'lab', 'sleep', '1000']);
  await ok(['vm', 'kill', '-s', 'KILL', 'lab', sleeper]);
  assert.equal((await daemon.holm(['vm', 'output', 'lab', sleeper])).code, 137);
  for (const id of [job, sleeper]) await ok(['vm', 'kill', 'lab', id]);
  assert.deepEqual(await json(['vm', 'jobs', 'lab']), []);
});

test('cp: files, directories, streams, and between two VMs', async () => {
  const bytes = randomBytes(3_000_000);
  mkdirSync(join(dir, 'src/sub'), { recursive: true });
  writeFileSync(join(dir, 'src/sub/tool'), bytes, { mode: 0o751 });
  symlinkSync('sub/tool', join(dir, 'src/link'));
  await ok(['cp', join(dir, 'src'), 'lab:/srv/app']);
  assert.equal(await ok(['vm', 'exec', 'lab', '--', 'stat', '-c', '%A %U %N', '/srv/app/sub/tool', '/srv/app/link']),
    "-rwxr-x--x root '/srv/app/sub/tool'\nlrwxrwxrwx root '/srv/app/link' -> 'sub/tool'");
  await ok(['vm', 'fork', 'lab', '--name', 'other']);
  await ok(['cp', 'lab:/srv/app', 'other:/copy']);
  await ok(['cp', 'other:/copy', join(dir, 'back')]);
  assert.equal(sha(readFileSync(join(dir, 'back/sub/tool'))), sha(bytes));
  assert.equal(statSync(join(dir, 'back/sub/tool')).mode & 0o7777, 0o751);
  await ok(['cp', '-', 'other:/root/stream'], { input: bytes });
  assert.equal(sha(Buffer.from((await daemon.holm(['cp', 'other:stream', '-'])).stdout, 'latin1')), sha(bytes));
  await ok(['vm', 'delete', 'other']);
});

test('cp takes no device files and no set-id bits out of a VM', async () => {
  await ok(['vm', 'exec', 'lab', '--', 'sh', '-c', 'mkdir /bad; mknod -m 666 /bad/zero c 1 5; touch /bad/tool; chmod 6755 /bad/tool']);
  const run = await daemon.holm(['cp', 'lab:/bad', join(dir, 'bad')]);
  assert.equal(run.code, 125);
  assert.match(run.stderr, /zero: Cannot mknod/);
  assert.throws(() => statSync(join(dir, 'bad/zero')), /ENOENT/);
  assert.equal(statSync(join(dir, 'bad/tool')).mode & 0o7777, 0o755);
});

test('pause, suspend, resume, stop, start', async () => {
  const id = await ok(['vm', 'create', '--name', 'moved']);
  const status = async () => (await json(['vm', 'show', id.slice(0, 13)])).status;
  for (const [move, then] of [['pause', 'paused'], ['resume', 'running'], ['suspend', 'suspended'], ['resume', 'running'], ['stop', 'stopped'], ['start', 'running']]) {
    await ok(['vm', move, 'moved']);
    assert.equal(await status(), then, move);
  }
  await ok(['vm', 'delete', '-f', 'moved', 'no-such-vm']);
});

test('a snapshot, and VMs made from it', async () => {
  await ok(['vm', 'exec', 'lab', '--', 'sh', '-c', 'echo kept > /root/note']);
  await ok(['snapshot', 'create', 'lab', 'base']);
  await ok(['vm', 'create', '--snapshot', 'base', '--name', 'again']);
  assert.equal(await ok(['vm', 'exec', 'again', 'cat', 'note']), 'kept');
  await ok(['vm', 'delete', 'again']);
  await ok(['snapshot', 'rename', 'base', 'old']);
  await ok(['snapshot', 'delete', 'old']);
  assert.deepEqual(await json(['snapshot', 'list']), []);
});

test('name, metadata, TTL, idle policy, firewall', async () => {
  const id = await ok(['vm', 'create', '--name', 'a', '-m', 'job=7', '--ttl', '1h:delete', '--idle', '10m', '--no-outbound', '--allow', '192.0.2.0/24:443']);
  await ok(['vm', 'rename', 'a', 'b']);
  await ok(['vm', 'meta', 'b', 'owner=ada', '--unset', 'job']);
  assert.equal(await ok(['vm', 'meta', 'b']), 'owner=ada');
  assert.equal(await ok(['vm', 'ttl', 'b']), 'delete after 1h');
  await ok(['vm', 'ttl', 'b', '--refresh']);
  await ok(['vm', 'ttl', 'b', 'none']);
  assert.equal(await ok(['vm', 'ttl', 'b']), 'none');
  assert.equal(await ok(['vm', 'idle', 'b']), 'pause after 10m');
  const policy = JSON.parse(await ok(['vm', 'firewall', 'b']));
  assert.deepEqual(policy.egress, { default: 'deny', rules: [{ action: 'allow', kind: 'cidr', value: '192.0.2.0/24', protocol: 'tcp', ports: '443' }] });
  policy.egress.default = 'allow';
  await ok(['vm', 'firewall', 'b', '-'], { input: JSON.stringify(policy) });
  assert.equal((await json(['vm', 'show', 'b'])).effectiveFirewall.egress.default, 'allow');
  assert.equal((await json(['vm', 'list', '--meta', 'owner=ada']))[0].id, id);
  await ok(['vm', 'delete', 'b']);
});

test('accounts and keys: what is another\'s is not there', async () => {
  await ok(['account', 'create', 'ada', '--vcpu', '1']);
  const env = { HOLM_API_KEY: await ok(['key', 'create', 'laptop', '--account', 'ada']) };
  assert.deepEqual(JSON.parse(await ok(['vm', 'list', '--json'], { env })), []);
  const none = await daemon.holm(['vm', 'show', 'lab'], { env });
  assert.match(none.stderr, /there is no VM 'lab'/);
  const quota = await daemon.holm(['vm', 'create', '--type', 'c2m2'], { env });
  assert.match(quota.stderr, /quota/);
  await ok(['account', 'delete', 'ada']);
  assert.equal((await daemon.holm(['vm', 'list'], { env })).code, 125);
});

test('a shell in a terminal, the log, and the table of all', async () => {
  // util-linux's script makes the terminal.
  const script = spawn('script', ['-qec', `stty cols 99 rows 33; ${ROOT}/bin/holm shell lab -- sh -c 'stty size; exit 7'`, '/dev/null'],
    { env: { ...process.env, HOLM_URL: daemon.url, HOLM_DATA: daemon.data, TERM: 'xterm' } });
  let shown = '';
  script.stdout.setEncoding('utf8').on('data', (text) => { shown += text; });
  const [code] = await once(script, 'close');
  assert.equal(code, 7);
  assert.match(shown, /33 99/);
  const run = await daemon.holm(['shell', 'lab'], { input: 'echo $((6*7)); exit 4\n' });
  assert.equal(run.code, 4);
  assert.match(run.stdout, /^42\r$/m);
  await ok(['logs', 'lab', '--tail', '3']);
  assert.match(await ok(['top']), /^lab +running +c1m0\.25 +[0-9.]+ /m);
});

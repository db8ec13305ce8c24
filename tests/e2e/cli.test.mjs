// SPDX-License-Identifier: Apache-2.0
// The command line as people and scripts use it, and what the daemon tells of itself.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, ROOT } from './lib/holm.mjs';

let daemon;
let dir;
before(async () => {
  dir = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'cli-'));
  daemon = await Daemon.start();
  await daemon.ready();
});
after(async () => {
  rmSync(dir, { recursive: true });
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test("holm run python -c 'print(2**10)'", async () => {
  assert.deepEqual(await daemon.holm(['run', 'python', '-c', 'print(2**10)']), { code: 0, stdout: '1024\n', stderr: '' });
});

test('holm run python script.py arg1 < input.txt', async () => {
  writeFileSync(join(dir, 'script.py'), 'import sys\nprint(sys.argv[1:], sys.stdin.read())\n');
  const run = await daemon.holm(['run', 'python', 'script.py', 'arg1', '-c', '--json'], { input: 'input', cwd: dir });
  assert.deepEqual(run, { code: 0, stdout: "['arg1', '-c', '--json'] input\n", stderr: '' });
});

test("echo 'console.log(1)' | holm run nodejs", async () => {
  assert.deepEqual(await daemon.holm(['run', 'nodejs'], { input: 'console.log(1)\n' }), { code: 0, stdout: '1\n', stderr: '' });
});

test('stdout, stderr and the exit code are the program\'s', async () => {
  const run = await daemon.holm(['run', 'bash', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual(run, { code: 3, stdout: 'out\n', stderr: 'err\n' });
});

test('bytes pass through unchanged, both ways', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const run = await daemon.holm(['run', 'bash', '-c', 'cat'], { input: bytes });
  assert.equal(run.code, 0, run.stderr);
  assert.equal(run.stdout, bytes.toString('latin1'));
});

test('more output than the HTTP answer would hold', async () => {
  const run = await daemon.holm(['run', 'bash', '-c', 'head -c 6000000 /dev/zero']);
  assert.equal(run.code, 0, run.stderr);
  assert.equal(run.stdout.length, 6000000);
});

test('a timeout is exit code 124, and said on stderr only', async () => {
  const run = await daemon.holm(['run', '--timeout', '2', 'bash', '-c', 'echo part; sleep 100']);
  assert.equal(run.code, 124);
  assert.equal(run.stdout, 'part\n');
  assert.match(run.stderr, /timeout/);
});

test('--json prints the answer', async () => {
  const run = await daemon.holm(['run', '--json', 'bash', '-c', 'echo hi']);
  const answer = JSON.parse(run.stdout);
  assert.equal(answer.stdout, 'hi\n');
  assert.equal(answer.exit_code, 0);
});

test('an unknown language is named, with the nearest one', async () => {
  const run = await daemon.holm(['run', 'pyhton', '-c', '1']);
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /pyhton.*python/s);
  assert.equal(run.stdout, '');
});

test('a daemon that is not there is said so, with what to do', async () => {
  const run = await daemon.holm(['run', 'bash', '-c', 'true'], { env: { HOLM_URL: 'http://127.0.0.1:1' } });
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /127\.0\.0\.1:1/);
});

test('holm languages', async () => {
  const run = await daemon.holm(['languages']);
  assert.equal(run.code, 0);
  assert.match(run.stdout, /^python +\.py +ready/m);
  const json = JSON.parse((await daemon.holm(['languages', '--json'])).stdout);
  assert.equal(json.count, json.languages.length);
});

test('holm doctor', async () => {
  const run = await daemon.holm(['doctor', '--json'], { env: { PATH: `${ROOT}/bin:${ROOT}/sbin:${process.env.PATH}` } });
  assert.equal(run.code, 0, run.stdout + run.stderr);
  const report = JSON.parse(run.stdout);
  const facts = Object.fromEntries(report.facts.map((fact) => [fact.name, fact.state]));
  assert.equal(facts.daemon, 'yes', JSON.stringify(report.facts));
  assert.equal(report.engine, 'qemu');
});

test('--help everywhere', async () => {
  const general = await daemon.holm(['--help']);
  assert.equal(general.code, 0);
  for (const command of ['run', 'languages', 'doctor', 'status', 'version', 'completion', 'help']) {
    assert.match(general.stdout, new RegExp(`^ +${command}\\b`, 'm'));
    const run = await daemon.holm([command, '--help']);
    assert.equal(run.code, 0, command);
    assert.match(run.stdout, new RegExp(`^Usage:\\s+holm ${command}`, 'm'), command);
  }
});

test('bash loads the completion and completes', () => {
  const file = join(ROOT, 'share/bash-completion/completions/holm.bash');
  assert.ok(existsSync(file));
  const shell = spawnSync('bash', ['--norc', '-c',
    `set -u; . '${file}'; complete -p holm; COMP_WORDS=(holm lan) COMP_CWORD=1; f=$(complete -p holm | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "$f" holm lan holm; echo "\${COMPREPLY[@]}"`],
  { encoding: 'utf8' });
  assert.equal(shell.status, 0, shell.stderr);
  assert.match(shell.stdout, /^languages\b/m);
});

test('zsh accepts its completion', (t) => {
  const file = join(ROOT, 'share/zsh/site-functions/_holm');
  assert.ok(existsSync(file));
  if (spawnSync('zsh', ['--version']).error) return t.skip('no zsh here');
  execFileSync('zsh', ['-n', file]);
});

test('/metrics counts what happened', async () => {
  const before = await daemon.metric('holm_runs_total{result="ok"}');
  const misses = await daemon.metric('holm_pool_misses_total');
  await daemon.execute('bash', 'true');
  assert.equal(await daemon.metric('holm_runs_total{result="ok"}'), before + 1);
  assert.equal(await daemon.metric('holm_pool_misses_total'), misses + 1);
  const { text, headers } = await daemon.get('/metrics');
  assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
  for (const line of text.trim().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[0-9.e+]+)$/);
  }
});

test('the OpenAPI document names every path of the runner', async () => {
  const { json } = await daemon.get('/openapi/runner.json');
  assert.match(json.openapi, /^3\./);
  for (const path of ['/health', '/api/v1/languages', '/api/v1/languages/{lang}', '/api/v1/execute']) {
    assert.ok(json.paths[path], path);
  }
});

test('the installed unit names the installed daemon', () => {
  const unit = join(ROOT, 'lib/systemd/system/holmd.service');
  assert.ok(existsSync(unit));
  const text = execFileSync('cat', [unit], { encoding: 'utf8' });
  assert.match(text, /^ExecStart=\/\S*\/sbin\/holmd$/m);
  assert.doesNotMatch(text, /@\w+@/);
});

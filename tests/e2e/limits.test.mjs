// SPDX-License-Identifier: Apache-2.0
// Programs that take all they can: the answer still comes, and nobody else notices.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Daemon } from './lib/holm.mjs';

const MIB = 1 << 20;
let daemon;
before(async () => {
  daemon = await Daemon.start();
  await daemon.ready();
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

// Somebody else's program runs well while `evil` does its worst.
async function undisturbed(evil) {
  const [answer, other] = await Promise.all([evil, daemon.execute('python', 'print(sum(range(100)))')]);
  assert.equal(other.stdout, '4950\n');
  assert.equal((await daemon.get('/health')).json.status, 'healthy');
  return answer;
}

test('an infinite loop is killed at its timeout and keeps its output', async () => {
  const code = 'print("started", flush=True)\nwhile True: pass';
  const answer = await undisturbed(daemon.execute('python', code, { timeout: 2 }));
  assert.equal(answer.exit_code, 124);
  assert.equal(answer.timed_out, true);
  assert.equal(answer.stdout, 'started\n');
});

test('sleeping for ever likewise, and a child that ignores signals', async () => {
  const answer = await daemon.execute('bash', 'echo one; (trap "" TERM INT HUP; sleep 1000) & wait', { timeout: 2 });
  assert.equal(answer.exit_code, 124);
  assert.equal(answer.timed_out, true);
  assert.equal(answer.stdout, 'one\n');
});

test('a fork bomb ends with an answer', async () => {
  const answer = await undisturbed(daemon.execute('bash', 'echo boom; bomb() { bomb | bomb & }; bomb; wait', { timeout: 5 }));
  assert.match(answer.stdout, /^boom\n/);
  const after = await daemon.execute('bash', 'echo fine');
  assert.equal(after.stdout, 'fine\n');
});

test('a flood of output is cut at 4 MiB and said to be', async () => {
  const code = 'import sys\nfor i in range(80): sys.stdout.write("x" * 65535 + "\\n")\nsys.stderr.write("end")';
  const answer = await daemon.execute('python', code, { timeout: 60 });
  assert.equal(answer.exit_code, 0);
  assert.equal(answer.stdout.length, 4 * MIB);
  assert.equal(answer.stdout_truncated, true);
  assert.equal(answer.stderr, 'end');
  assert.equal(answer.stderr_truncated, undefined);
});

test('a flood without an end is cut and killed at its timeout', async () => {
  const answer = await undisturbed(daemon.execute('bash', 'yes', { timeout: 3 }));
  assert.equal(answer.exit_code, 124);
  assert.equal(answer.timed_out, true);
  assert.ok(answer.stdout.length <= 4 * MIB);
});

test('a program that eats all memory is ended in its VM', async () => {
  const code = 'x = []\nwhile True: x.append(bytearray(16 << 20))';
  const answer = await undisturbed(daemon.execute('python', code, { timeout: 60 }));
  assert.notEqual(answer.exit_code, 0);
  assert.ok(answer.signal === 'SIGKILL' || /MemoryError/.test(answer.stderr), JSON.stringify(answer).slice(0, 500));
});

test('a program that fills its disk gets an error of its own', async () => {
  const answer = await undisturbed(daemon.execute('bash',
    'dd if=/dev/zero of=/work/big bs=1M count=4096 status=none; echo $?; rm /work/big; echo more >/work/small && cat /work/small',
    { timeout: 200 }));
  assert.match(answer.stderr, /No space left on device/);
  assert.equal(answer.stdout, '1\nmore\n');
});

test('1 MiB of code runs, more is refused', async () => {
  const code = `echo ok\n#${'x'.repeat(MIB - 9)}`;
  assert.equal(code.length, MIB);
  assert.equal((await daemon.execute('bash', code)).stdout, 'ok\n');
  const answer = await daemon.request('POST', '/api/v1/execute', { language: 'bash', code: `${code}x` });
  assert.equal(answer.status, 413);
  assert.match(answer.json.error, /code/);
});

test('a client that leaves ends its program', async () => {
  const gone = new AbortController();
  const request = daemon.request('POST', '/api/v1/execute', { language: 'bash', code: 'sleep 250', timeout: 280 },
    { signal: gone.signal });
  request.catch(() => {});
  const { until } = await import('./lib/holm.mjs');
  await until(() => daemon.vms().length > 0, 'a VM for it');
  gone.abort();
  await daemon.idle();
});

// SPDX-License-Identifier: Apache-2.0
// What every language must do, in VMs of a daemon of our own or of the one at HOLM_LANGUAGES_URL:
// say hello, read its standard input, end with a code, write to standard error, be killed at its
// timeout, report an error of its program, print what is not ASCII, and print a lot.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Daemon } from '../e2e/lib/holm.mjs';
import { CHECKS, languages, program, skipped } from './programs.mjs';

const words = (text) => (text ?? '').split(' ').filter(Boolean);
const { HOLM_LANGUAGES, HOLM_LANGUAGES_UNBUILT, HOLM_LANGUAGES_URL } = process.env;
const table = Object.fromEntries(languages().map((language) => [language.name, language]));

// An image's first boot may be waited for by several requests.
const PATIENCE_MS = 900_000;
// Of a program that should end by itself, whatever else the host does.
const TIMEOUT_S = 300;
const LOOP_S = 2;
const STDIN = 'first line\nÄÖÜ 漢字 🙂\n\nlast line\n';
const UNICODE = 'ÄÖÜ 漢字 🙂\n';
const MIB = `${'x'.repeat(63)}\n`.repeat(16384);

let daemon, url;
before(async () => {
  if (HOLM_LANGUAGES_URL) {
    url = HOLM_LANGUAGES_URL.replace(/\/$/, '');
    return;
  }
  daemon = await Daemon.start({ set: { 'network.enabled': 'no' } });
  ({ url } = daemon);
});
after(async () => {
  if (!daemon) return;
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

// The answer's JSON; as long as the daemon says "later", later.
async function execute(language, code, more = {}) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await fetch(`${url}/api/v1/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ language: language.name, code, timeout: TIMEOUT_S, ...more }),
    });
    const text = await answer.text();
    if (answer.status === 200) return JSON.parse(text);
    const later = Number(answer.headers.get('retry-after'));
    if (answer.status !== 503 || !later || Date.now() > end) {
      throw new Error(`${language.name}: ${answer.status} ${text}\n${daemon ? daemon.log.slice(-2000) : ''}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, Math.min(later, 5) * 1000); });
  }
}

// Short enough to be read when it is not what it should be.
const short = (text) => (text.length > 2000 ? `${text.slice(0, 1000)}[... ${text.length} characters]` : text);

function prints(answer, stdout) {
  const { exit_code: code, stdout: out, stderr } = answer;
  assert.deepEqual({ code, out: short(out), stderr: short(stderr) }, { code: 0, out: short(stdout), stderr: '' });
  assert.ok(out === stdout, 'what is printed differs somewhere in the middle');
  assert.ok(!answer.timed_out && !answer.signal && !answer.stdout_truncated);
}

const seconds = (answer) => answer.exec_time_us / 1e6;

const checks = {
  stdin: async (language, code) => prints(await execute(language, code, { stdin: STDIN }), STDIN),
  unicode: async (language, code) => prints(await execute(language, code), UNICODE),
  mib: async (language, code) => prints(await execute(language, code), MIB),
  exit3: async (language, code) => {
    const answer = await execute(language, code);
    assert.equal(answer.exit_code, 3, `${answer.stdout}${answer.stderr}`);
    assert.ok(!answer.timed_out && !answer.signal);
  },
  stderr: async (language, code) => {
    const { exit_code: exit, stdout, stderr } = await execute(language, code);
    assert.deepEqual({ exit, stdout, stderr }, { exit: 0, stdout: '', stderr: 'oops\n' });
  },
  // Its time begins when what came before the program's own first instruction has had its time.
  loop: async (language, code, hello) => {
    const timeout = Math.ceil(seconds(hello)) + LOOP_S;
    const answer = await execute(language, code, { timeout });
    assert.equal(answer.exit_code, 124, short(answer.stdout + answer.stderr));
    assert.equal(answer.timed_out, true);
    assert.ok(seconds(answer) >= timeout, `it ran ${answer.exec_time} only`);
  },
  broken: async (language, code) => {
    const answer = await execute(language, code);
    assert.notEqual(answer.exit_code, 0, short(answer.stdout));
    assert.notEqual(answer.stderr, '');
    assert.ok(!answer.timed_out && !answer.signal, `${answer.signal} ${short(answer.stderr)}`);
  },
};

for (const name of words(HOLM_LANGUAGES)) {
  const language = table[name], reasons = skipped(language);
  test(name, async (t) => {
    let hello;
    await t.test('hello', async () => {
      hello = await execute(language, language.hello);
      prints(hello, language.expect);
    });
    for (const check of CHECKS) {
      await t.test(check, { skip: reasons[check] ?? (hello ? false : 'it cannot say hello') },
        () => checks[check](language, program(language, check), hello));
    }
  });
}

for (const name of words(HOLM_LANGUAGES_UNBUILT)) {
  test(name, { skip: `its image was not built: images/build ${table[name].image}` }, () => {});
}

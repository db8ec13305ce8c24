// SPDX-License-Identifier: Apache-2.0
// What every language must do, in VMs of a daemon of our own or of the one at HOLM_LANGUAGES_URL:
// say hello, read its standard input, end with a code, write to standard error, be killed at its
// timeout, report an error of its program, print what is not ASCII, and print a lot.
import test from 'node:test';
import assert from 'node:assert/strict';
import { CHECKS, program, skipped } from './programs.mjs';
import { chosen, execute, unbuilt, useService } from './service.mjs';

const LOOP_S = 2;
const STDIN = 'first line\nÄÖÜ 漢字 🙂\n\nlast line\n';
const UNICODE = 'ÄÖÜ 漢字 🙂\n';
const MIB = `${'x'.repeat(63)}\n`.repeat(16384);

useService();

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

for (const language of chosen) {
  const reasons = skipped(language);
  test(language.name, async (t) => {
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

for (const { name, image } of unbuilt) {
  test(name, { skip: `its image was not built: images/build ${image}` }, () => {});
}

// SPDX-License-Identifier: Apache-2.0
// Each language runs, by HTTP and by the command line; what a program is given reaches it.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Daemon, LANGUAGES } from './lib/holm.mjs';

let daemon;
before(async () => {
  daemon = await Daemon.start();
  await daemon.ready();
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

for (const name of LANGUAGES) {
  test(`${name}: its own hello program, by HTTP`, async () => {
    const { json: language } = await daemon.get(`/api/v1/languages/${name}`);
    const answer = await daemon.execute(name, language.hello, { timeout: 120 });
    assert.equal(answer.stdout, 'Hello, World!\n');
    assert.equal(answer.stderr, '');
    assert.equal(answer.exit_code, 0);
    assert.match(answer.load_time, /^\d+ms$/);
    assert.match(answer.exec_time, /^\d+ms$/);
  });

  test(`${name}: its own hello program, by holm run`, async () => {
    const { json: language } = await daemon.get(`/api/v1/languages/${name}`);
    const run = await daemon.holm(['run', '--timeout', '120', name], { input: language.hello });
    assert.deepEqual(run, { code: 0, stdout: 'Hello, World!\n', stderr: '' });
  });
}

test('the languages of the table and no others', async () => {
  const table = JSON.parse(readFileSync(new URL('../../images/languages.json', import.meta.url)));
  const { json } = await daemon.get('/api/v1/languages');
  assert.deepEqual(json.languages.map((language) => language.name), table.languages.map((row) => row.name));
  assert.deepEqual(table.languages.filter((row) => table.images[row.image].default).map((row) => row.name), LANGUAGES);
  assert.equal(json.count, table.languages.length);
});

test('an alias stands for its language', async () => {
  assert.equal((await daemon.execute('py', 'print(6 * 7)')).stdout, '42\n');
});

test('a compile error is an exit code and a message, not a failure of ours', async () => {
  const answer = await daemon.execute('c', 'int main(void) { return nonsense; }');
  assert.equal(answer.exit_code, 1);
  assert.match(answer.stderr, /main\.c:1:.*nonsense. undeclared/s);
  assert.equal(answer.stdout, '');
});

test('a syntax error of a script likewise', async () => {
  const answer = await daemon.execute('python', 'print(');
  assert.equal(answer.exit_code, 1);
  assert.match(answer.stderr, /SyntaxError/);
});

test('a runtime error keeps what was printed before', async () => {
  const answer = await daemon.execute('python', 'print("before", flush=True)\nraise SystemError("boom")');
  assert.equal(answer.exit_code, 1);
  assert.equal(answer.stdout, 'before\n');
  assert.match(answer.stderr, /SystemError: boom/);
});

test('exit codes and signals', async () => {
  assert.equal((await daemon.execute('bash', 'exit 77')).exit_code, 77);
  const answer = await daemon.execute('c', '#include <stdlib.h>\nint main(void) { abort(); }');
  assert.equal(answer.exit_code, 128 + 6);
  assert.equal(answer.signal, 'SIGABRT');
});

test('args, stdin, env and files reach the program', async () => {
  const code = `import os, sys
print(sys.argv[1:], sys.stdin.read(), os.environ["COLOR"])
print(open("data/in.txt").read(), open("beside.txt").read())`;
  const answer = await daemon.execute('python', code, {
    args: ['one', 'two words', 'ü'], stdin: 'from stdin', env: { COLOR: 'green' },
    files: { 'data/in.txt': 'a file', 'beside.txt': 'another' },
  });
  assert.equal(answer.stderr, '');
  assert.equal(answer.stdout, "['one', 'two words', 'ü'] from stdin green\na file another\n");
});

test('the program is an ordinary user with a home and a work directory', async () => {
  const answer = await daemon.execute('bash', 'id -u; pwd; test -w . && echo writable; touch /etc/x 2>/dev/null || echo refused');
  assert.equal(answer.stdout, '1000\n/work\nwritable\nrefused\n');
});

test('bytes that are no UTF-8 come back as base64 when asked for', async () => {
  const answer = await daemon.execute('bash', "printf '\\377\\000x'", { output_encoding: 'base64' });
  assert.equal(answer.stdout, Buffer.from([255, 0, 120]).toString('base64'));
});

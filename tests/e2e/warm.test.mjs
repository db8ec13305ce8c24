// SPDX-License-Identifier: Apache-2.0
// A runtime that waited becomes the program, and nobody can tell: each program of
// tests/languages/warm/LANGUAGE runs started anew and taken over, and every byte is the same.
// Beside FILE.EXT are FILE.args (one a line), FILE.env (NAME=value lines) and FILE.in.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Daemon, until } from './lib/holm.mjs';

const CORPUS = join(dirname(fileURLToPath(import.meta.url)), '../languages/warm');
const only = process.env.HOLM_WARM_ONLY?.split(' ');
const built = [];
let daemon;

before(async () => {
  daemon = await Daemon.start();
  await until(async () => {
    const { json } = await daemon.get('/api/v1/languages');
    const rows = json.languages.filter((row) => existsSync(join(CORPUS, row.name)));
    built.splice(0, Infinity, ...rows.filter((row) => row.status !== 'missing').map((row) => row.name));
    return rows.every((row) => ['ready', 'built', 'missing', 'failed'].includes(row.status));
  }, 'every language with a corpus to be prepared, built or missing');
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

function beside(path, suffix) {
  const other = path.slice(0, -extname(path).length) + suffix;
  return existsSync(other) ? readFileSync(other) : undefined;
}

// The request that a program of the corpus is.
function requestOf(path) {
  const lines = (suffix) => beside(path, suffix)?.toString().split('\n').slice(0, -1);
  const env = lines('.env')?.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return {
    code: readFileSync(path).toString(),
    output_encoding: 'base64',
    timeout: 120,
    ...(lines('.args') && { args: lines('.args') }),
    ...(env && { env: Object.fromEntries(env) }),
    ...(beside(path, '.in') && { stdin: beside(path, '.in').toString('base64'), stdin_encoding: 'base64' }),
  };
}

// What differs between any two runs, cold ones too; tests/warm/native has the same.
const VARYING = [
  [/0x[0-9a-f]{6,16}/g, '0xADDRESS'],
  [/#<directory [(]guile-user[)] [0-9a-f]+>/g, '#<directory (guile-user)>'],
  [/[(]node:[0-9]+[)]/g, '(node:PID)'],
  [/\/tmp\/clojure-[0-9]+[.]edn/g, '/tmp/clojure-N.edn'],
];

// What can be seen of a run; texts, so that a difference can be read.
function seen({ stdout, stderr, exit_code, signal, timed_out }) {
  const text = (base64) => VARYING.reduce((t, [varying, word]) => t.replace(varying, word), Buffer.from(base64, 'base64').toString('latin1'));
  return { stdout: text(stdout), stderr: text(stderr), exit_code, signal, timed_out };
}

async function compare(language, path) {
  const { code, ...rest } = requestOf(path);
  const cold = await daemon.execute(language, code, { ...rest, cold: true });
  const warm = await daemon.execute(language, code, rest);
  assert.equal(cold.warm, undefined);
  assert.equal(warm.warm, true, 'the runtime did not wait');
  assert.deepEqual(seen(warm), seen(cold));
}

const SIDE = ['.args', '.env', '.in', '.md'];
for (const language of readdirSync(CORPUS)) {
  const files = readdirSync(join(CORPUS, language)).filter((name) => !SIDE.includes(extname(name)));
  for (const name of files) {
    if (only && !only.includes(language) && !only.includes(`${language}/${basename(name)}`)) continue;
    test(`${language}/${name}: warm is as cold`, async (t) => {
      if (!built.includes(language)) {
        t.skip('its image was not built here');
        return;
      }
      await compare(language, join(CORPUS, language, name));
    });
  }
}

// What a runtime draws from the kernel's generator before it waits would be the same in each clone.
const DRAWS = {
  nodejs: 'console.log(Math.random(), Math.random(), require("crypto").randomBytes(16).toString("hex"), require("crypto").randomUUID())',
  python: 'import os, random, secrets, uuid, ssl, tempfile\nprint(random.random(), os.urandom(8).hex(), secrets.token_hex(8), uuid.uuid4(), ssl.RAND_bytes(8).hex(), tempfile.mktemp())',
};
for (const [language, code] of Object.entries(DRAWS)) {
  test(`${language}: two clones draw different numbers`, async (t) => {
    if (!built.includes(language)) {
      t.skip('its image was not built here');
      return;
    }
    const drawn = await Promise.all([1, 2].map(() => daemon.execute(language, code)));
    assert.ok(drawn.every((answer) => answer.warm));
    const [a, b] = drawn.map((answer) => answer.stdout.trim().split(' '));
    assert.equal(a.length, b.length);
    assert.ok(a.length >= 4);
    a.forEach((value, i) => assert.notEqual(value, b[i]));
  });
}

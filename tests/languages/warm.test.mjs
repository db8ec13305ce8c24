// SPDX-License-Identifier: Apache-2.0
// A runtime that waited becomes the program, and nobody can tell: each program of warm/LANGUAGE runs
// started anew and taken over, and every byte is the same. Beside FILE.EXT are FILE.args (one a line),
// FILE.env (NAME=value lines), FILE.in and FILE.files (a directory).
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chosen, execute, useService } from './service.mjs';

const CORPUS = join(dirname(fileURLToPath(import.meta.url)), 'warm');

useService();

// What is beside a program by that suffix, as read by read; undefined: nothing.
function beside(path, suffix, read = readFileSync) {
  const other = path.slice(0, -extname(path).length) + suffix;
  return existsSync(other) ? read(other) : undefined;
}

function filesIn(directory) {
  return readdirSync(directory).map((name) => ({ name, content: readFileSync(join(directory, name)).toString() }));
}

// The request that a program of the corpus is.
function requestOf(path) {
  const lines = (suffix) => beside(path, suffix)?.toString().split('\n').slice(0, -1);
  const env = lines('.env')?.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return {
    code: readFileSync(path).toString(),
    output_encoding: 'base64',
    args: lines('.args'),
    env: env && Object.fromEntries(env),
    files: beside(path, '.files', filesIn),
    stdin: beside(path, '.in')?.toString('base64'),
    stdin_encoding: 'base64',
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

// What it has looked at before it waits cannot be handed over; then it is started anew.
function canWait({ warm }, { args = [], env = {} }) {
  const takes = (what, n) => n === 0 || warm.takes.includes(what);
  const names = Object.keys(env);
  return takes('args', args.length) && takes('env', names.length)
    && !names.some((name) => (warm.cold_env ?? []).some((prefix) => name.startsWith(prefix)));
}

async function compare(language, path) {
  const { code, ...rest } = requestOf(path);
  const cold = await execute(language, code, { ...rest, cold: true });
  const warm = await execute(language, code, rest);
  assert.equal(cold.warm, undefined);
  assert.equal(warm.warm, canWait(language, rest) || undefined, 'whether the runtime had waited');
  assert.deepEqual(seen(warm), seen(cold));
}

for (const language of chosen.filter(({ name }) => existsSync(join(CORPUS, name)))) {
  for (const file of readdirSync(join(CORPUS, language.name)).filter((name) => name.endsWith(language.extension))) {
    test(`${language.name}/${file}: warm is as cold`, () => compare(language, join(CORPUS, language.name, file)));
  }
}

// What a runtime draws from the kernel's generator before it waits would be the same in each clone.
const JAVA_DRAWS = 'Math.random() + " " + new java.util.Random().nextLong() + " " + java.util.UUID.randomUUID() + " " + new java.security.SecureRandom().nextLong()';
const V8_DRAWS = 'console.log(Math.random(), Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(2)).join("-"))';
const DRAWS = {
  clojure: '(println (rand) (rand-int 1000000000) (str (java.util.UUID/randomUUID)) (.nextLong (java.security.SecureRandom.)))',
  coffeescript: 'console.log Math.random(), Math.random(), require("crypto").randomBytes(16).toString("hex"), require("crypto").randomUUID()',
  csharp: 'class Program { static void Main() { System.Console.WriteLine(System.Guid.NewGuid() + " " + System.Guid.NewGuid() + " " + System.IO.Path.GetRandomFileName() + " " + System.IO.Path.GetTempFileName()); } }',
  deno: V8_DRAWS,
  elixir: 'IO.puts("#{:rand.uniform()} #{:rand.uniform(1_000_000_000)} #{Base.encode16(:crypto.strong_rand_bytes(8))} #{Enum.random(1..1_000_000_000)}")',
  erlang: '-module(main).\n-export([main/1]).\nmain(_) -> io:format("~w ~w ~w ~w~n", [rand:uniform(), rand:uniform(1000000000), binary:decode_unsigned(crypto:strong_rand_bytes(8)), rand:uniform()]).\n',
  groovy: `println(${JAVA_DRAWS})`,
  java: `public class Main { public static void main(String[] args) { System.out.println(${JAVA_DRAWS}); } }`,
  kotlin: 'fun main() { println("${Math.random()} ${kotlin.random.Random.nextLong()} ${java.util.UUID.randomUUID()} ${java.security.SecureRandom().nextLong()}") }',
  mysql: "select concat_ws(' ', rand(), rand(), hex(random_bytes(8)), uuid())",
  nodejs: 'console.log(Math.random(), Math.random(), require("crypto").randomBytes(16).toString("hex"), require("crypto").randomUUID())',
  octave: 'printf("%.15g %.15g %.15g %d\\n", rand, randn, rande, randi(1e9))',
  perl: 'print join(" ", rand, rand, int(rand(1e9)), rand), "\\n";',
  php: '<?php echo implode(" ", [mt_rand(), rand(), random_int(0, PHP_INT_MAX), bin2hex(random_bytes(8)), lcg_value(), uniqid()]), "\\n";',
  postgresql: "select concat_ws(' ', random(), random(), gen_random_uuid(), gen_random_uuid())",
  prolog: ':- forall(between(1, 4, _), (random(X), write(X), write(" "))).',
  python: 'import os, random, secrets, uuid, ssl, tempfile\nprint(random.random(), os.urandom(8).hex(), secrets.token_hex(8), uuid.uuid4(), ssl.RAND_bytes(8).hex(), tempfile.mktemp())',
  r: 'cat(sprintf("%.15g", c(runif(1), rnorm(1), runif(1), rexp(1))), "\\n")',
  racket: '#lang racket/base\n(printf "~a ~a ~a ~a\\n" (random) (random 1000000000) (random) (random 4294967087))',
  raku: 'say (rand, (1..1000000000).pick, rand, (1..1000000000).roll).join(" ")',
  ruby: 'require "securerandom"\nputs [rand, Random.rand, SecureRandom.hex(8), Random.new.rand, Random.new_seed].join(" ")',
  scala: `object Main { def main(args: Array[String]): Unit = println(${JAVA_DRAWS} + " " + scala.util.Random.nextLong()) }`,
  typescript: V8_DRAWS,
};
for (const language of chosen.filter(({ name }) => DRAWS[name])) {
  test(`${language.name}: two clones draw different numbers`, async () => {
    const drawn = await Promise.all([1, 2].map(() => execute(language, DRAWS[language.name])));
    assert.ok(drawn.every((answer) => answer.warm));
    const [a, b] = drawn.map((answer) => answer.stdout.trim().split(' '));
    assert.equal(a.length, b.length);
    assert.ok(a.length >= 4);
    a.forEach((value, i) => assert.notEqual(value, b[i]));
  });
}

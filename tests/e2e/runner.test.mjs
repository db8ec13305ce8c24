// SPDX-License-Identifier: Apache-2.0
// The runner API in real guests: bounds that hold, batches whose entries do not meet, many users at once, and the clients.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RunnerClient } from '../../sdk/javascript/holm-runner.js';
import { Daemon } from './lib/holm.mjs';

const HERE = new URL('../../', import.meta.url).pathname;
let daemon, client;

before(async () => {
  daemon = await Daemon.start({ set: { 'pool.default': 1, 'limits.run_wait_s': 600 } });
  await daemon.ready();
  client = new RunnerClient(daemon.url);
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test('a bound of memory lets be what is within it and ends all of what is not', async () => {
  const code = (mib) => `x = bytearray(${mib} << 20)\nprint(len(x))`;
  const within = await client.execute('python', code(30), 120, { limits: { memory_mb: 64 } });
  assert.equal(within.stdout, `${30 << 20}\n`);
  assert.ok(within.memory_peak_kb > 30 << 10 && within.memory_peak_kb <= 64 << 10, String(within.memory_peak_kb));
  const beyond = await client.execute('python', code(100), 120, { limits: { memory_mb: 64 } });
  assert.deepEqual([beyond.exit_code, beyond.signal, beyond.out_of_memory, beyond.stdout], [137, 'SIGKILL', true, '']);
  // A child counts, and is not alone when it ends.
  const child = `import os, time\nif os.fork() == 0:\n    x = bytearray(100 << 20)\nelse:\n    print('waits', flush=True)\n    os.wait()\n    print('never')`;
  const family = await client.execute('python', child, 120, { limits: { memory_mb: 64 } });
  assert.deepEqual([family.out_of_memory, family.stdout], [true, 'waits\n']);
  const machine = await client.execute('python', code(4000), 120);
  assert.notEqual(machine.exit_code, 0);
});

test('bounds of processes, files and output', async () => {
  const forks = `i=0; while sleep 30 & do i=$((i+1)); [ $i -lt 50 ] || break; done 2>/dev/null; echo $i; kill $(jobs -p)`;
  const few = await client.execute('bash', `${forks} 2>/dev/null`, 120, { limits: { processes: 8 } });
  const many = await client.execute('bash', forks, 120);
  assert.ok(!/^50$/m.test(few.stdout), JSON.stringify(few));
  assert.match(many.stdout, /^50$/m);
  const file = await client.execute('bash', 'head -c 3000000 /dev/zero >f; stat -c %s f', 120, { limits: { file_size_mb: 2 } });
  assert.equal(file.stdout, `${2 << 20}\n`);
  const flood = await client.execute('bash', 'head -c 9000000 /dev/zero; echo end >&2', 120, { limits: { output_kb: 5 } });
  assert.deepEqual([flood.stdout.length, flood.stdout_truncated, flood.stderr, flood.exit_code], [5 << 10, true, 'end\n', 0]);
});

test('CPU time and peak memory are measured', async () => {
  const busy = await client.execute('bash', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done', 120);
  const idle = await client.execute('bash', 'sleep 1', 120);
  assert.ok(busy.cpu_time_us > busy.exec_time_us / 4, JSON.stringify(busy));
  assert.ok(idle.exec_time_us - idle.cpu_time_us > 900_000, JSON.stringify(idle)); // the second that it slept
  const large = await client.execute('python', 'x = b"x" * (60 << 20)', 120);
  assert.ok(large.memory_peak_kb > 60 << 10, String(large.memory_peak_kb));
});

test('entries of a batch do not meet', async () => {
  const code = `cat; echo x >>left; echo x >>/tmp/left; mkdir -p /dev/shm/d/e
wc -l <left; wc -l </tmp/left; ls
cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^12345$'
(setsid sleep 12345 >/dev/null 2>&1 &)`;
  const expected = (input) => `${input}1\n1\nleft\nmain.sh\n0\n`;
  const results = await client.executeBatch('bash', code, ['a\n', 'b\n', 'c\n'], 120);
  assert.deepEqual(results.map((r) => r.stdout), ['a\n', 'b\n', 'c\n'].map(expected));
  const c = `#include <stdio.h>
int main(void) { int n = 0; scanf("%d", &n); FILE *f = fopen("left", "a"); fputs("x", f); printf("%d %ld\\n", n * n, ftell(f)); remove("main"); return n; }`;
  const squares = await client.run('c', { 'square.c': c }, ['3', '4', ''], 120);
  assert.deepEqual(squares.map((r) => [r.stdout, r.exit_code]), [['9 1\n', 3], ['16 1\n', 4], ['0 1\n', 0]]);
  const broken = await client.run('c', { 'main.c': 'int main(void) {' }, ['1', '2'], 120);
  assert.ok(broken.every((r) => r.exception === 'Compilation failed' && /error: expected/.test(r.stderr)));
});

test('fifty users at once on this host: each gets their own answer', async () => {
  const names = ['bash', 'python', 'perl'];
  const code = { bash: (i) => `echo "I am ${i}"; cat`, python: (i) => `print("I am ${i}")\nprint(input())`, perl: (i) => `print "I am ${i}\\n"; print <STDIN>;` };
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => {
    const name = names[i % 3];
    return client.execute(name, code[name](i), 300, { stdin: `in ${i}\n` });
  }));
  answers.forEach((r, i) => assert.equal(r.stdout, `I am ${i}\nin ${i}\n`, JSON.stringify(r)));
  assert.equal(await daemon.metric('holm_runs_waiting'), 0);
});

// The specification's own samples, as they stand there; only the address is another.
const SAMPLE_PYTHON = `import requests

class RunnerClient:
    def __init__(self, url="http://localhost:8080"):
        self.url = url

    def execute(self, language, code, timeout=30):
        response = requests.post(
            f"{self.url}/api/v1/execute",
            json={"language": language, "code": code, "timeout": timeout}
        )
        return response.json()

# Usage
client = RunnerClient()
result = client.execute("python", "print(2 ** 10)")
print(result["stdout"])  # 1024
`;
const SAMPLE_JAVASCRIPT = `class RunnerClient {
  constructor(url = "http://localhost:8080") {
    this.url = url;
  }

  async execute(language, code, timeout = 30) {
    const res = await fetch(\`\${this.url}/api/v1/execute\`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ language, code, timeout })
    });
    return res.json();
  }
}

// Usage
const client = new RunnerClient();
const result = await client.execute("nodejs", "console.log(2 ** 10)");
console.log(result.stdout); // 1024
`;

for (const [command, name, sample] of [['python3', 'sample.py', SAMPLE_PYTHON], ['node', 'sample.mjs', SAMPLE_JAVASCRIPT]]) {
  test(`the specification's client in ${command} works as it is`, async () => {
    const file = join(mkdtempSync(join(process.env.HOLM_E2E_TMP, 'sample-')), name);
    writeFileSync(file, sample.replace('http://localhost:8080', daemon.url));
    const { stdout } = await promisify(execFile)(command, [file], { timeout: 120000 });
    assert.equal(stdout, '1024\n\n');
  });
}

test('our client in Python', async () => {
  const code = `import sys
from holm_runner import RunnerClient
client = RunnerClient(sys.argv[1])
print(client.execute("python", "print(2 ** 10)", 120)["stdout"], end="")
print([r.stdout for r in client.execute_batch("bash", "rev", ["ab\\n", "cd\\n"], 120)])
print([(e.kind, e.data) for e in client.stream("bash", "echo one; sleep 1; echo two >&2", 120)][:2])`;
  const { stdout } = await promisify(execFile)('python3', ['-c', code, daemon.url], {
    env: { ...process.env, PYTHONPATH: join(HERE, 'sdk/python'), PYTHONDONTWRITEBYTECODE: '1' }, timeout: 300000,
  });
  assert.equal(stdout, "1024\n['ba\\n', 'dc\\n']\n[('stdout', b'one\\n'), ('stderr', b'two\\n')]\n");
});

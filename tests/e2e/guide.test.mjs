// SPDX-License-Identifier: Apache-2.0
// docs/guide.md is run as a reader would: each block of shell in its order, in one shell, against a real daemon. Where
// a block of JSON follows, the last thing that was printed is that.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { DATA, Daemon } from './lib/holm.mjs';

const HERE = new URL('../../', import.meta.url).pathname;

// [{shell, json?, line}]: fenced blocks; `json` is what the shell before it has to print.
function blocks(markdown) {
  const found = [];
  for (const m of markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
    const line = markdown.slice(0, m.index).split('\n').length;
    if (m[1] === 'sh') found.push({ shell: m[2], line });
    else if (m[1] === 'json') found.at(-1).json = JSON.parse(m[2]);
    else throw new Error(`line ${line}: a block of ${m[1]}`);
  }
  return found;
}

// A shell that stays: run() resolves with what a piece printed, and the status of the last command in it that failed.
class Shell {
  constructor(cwd) {
    this.child = spawn('bash', ['--norc'], { cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    this.errors = '';
    this.child.stderr.setEncoding('utf8').on('data', (text) => { this.errors += text; });
    this.lines = createInterface({ input: this.child.stdout });
    this.lines.on('line', (line) => this.onLine(line));
    this.child.on('close', () => this.fail?.(new Error(`the shell ended: ${this.errors}`)));
  }

  onLine(line) {
    const end = line.indexOf(`${this.mark} `);
    if (end < 0) {
      this.out += `${line}\n`;
      return;
    }
    this.out += line.slice(0, end);
    this.done({ out: this.out, code: Number(line.slice(end + this.mark.length + 1)) });
  }

  run(text) {
    this.mark = randomUUID();
    this.out = '';
    const result = new Promise((resolve, reject) => { this.done = resolve; this.fail = reject; });
    this.child.stdin.write(`failed=0\n${text}\necho "${this.mark} $failed"\n`);
    return result;
  }

  end() {
    this.child.stdin.end();
  }
}

let daemon, shell, dir;

before(async () => {
  daemon = await Daemon.start({ set: { 'limits.memory_max_mib': 4096 } });
  await daemon.ready(['typescript']);
  dir = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'guide-'));
  // What the guide has its reader bring.
  symlinkSync(join(DATA, 'kernel/vmlinuz'), join(dir, 'vmlinuz'));
  symlinkSync(join(DATA, 'images/bash/rootfs.ext4'), join(dir, 'rootfs.ext4'));
  shell = new Shell(dir);
  // A reader sees an error in what is printed; here it has to fail.
  await shell.run('set -E -o pipefail; trap \'failed=$?\' ERR; curl() { command curl --fail-with-body "$@"; }');
});

after(async () => {
  shell?.end();
  if (dir) rmSync(dir, { recursive: true, force: true });
  await daemon.close();
});

// This daemon's address and key instead of those of a host's own.
const here = (text) => text
  .replaceAll('http://localhost:8080', daemon.url)
  .replaceAll('/var/lib/holm/admin.key', join(DATA, 'admin.key'));

for (const { shell: text, json, line } of blocks(readFileSync(join(HERE, 'docs/guide.md'), 'utf8'))) {
  test(`docs/guide.md:${line} ${text.split('\n')[0]}`, async () => {
    const { out, code } = await shell.run(here(text));
    assert.equal(code, 0, `${out}\n${shell.errors}\n${daemon.log.slice(-3000)}`);
    if (json) assert.deepEqual(JSON.parse(out.trim().split('\n').at(-1)), json);
  });
}

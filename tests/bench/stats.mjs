// SPDX-License-Identifier: Apache-2.0
// Samples to figures, and the facts without which a figure means nothing.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

// The smallest sample that at least `p` percent are not above.
export function percentile(samples, p) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)];
}

export function median(samples) {
  return percentile(samples, 50);
}

function firstLine(program, args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8' }).split('\n')[0];
  } catch (error) {
    return `unknown: ${error.message}`;
  }
}

export function hostFacts() {
  return {
    cpu: os.cpus()[0]?.model, cpus: os.cpus().length, memory_mib: Math.round(os.totalmem() / 2 ** 20),
    kernel: `${os.type()} ${os.release()}`, load_before: os.loadavg(), node: process.version,
    qemu: firstLine('qemu-system-x86_64', ['--version']),
    debian: readFileSync('/etc/debian_version', 'utf8').trim(),
    commit: process.env.HOLM_BENCH_COMMIT, at: new Date().toISOString(),
  };
}

// SPDX-License-Identifier: Apache-2.0
// Compiled and never run: what sdk/javascript/holm-runner.d.ts has to allow, and what it must not.

import RunnerClientDefault, { RunnerClient, RunnerError } from '../../sdk/javascript/holm-runner.js';
import type { Language, Result, Rootfs, RunResult, Snapshot, StreamEvent } from '../../sdk/javascript/holm-runner.js';

const client: RunnerClient = new RunnerClientDefault('http://localhost:8080', { apiKey: 'k', retries: 3, patience: 300 });

export async function execute(): Promise<void> {
  const plain: Result = await client.execute('python', 'print(1)');
  const text: string = plain.stdout;
  const marks: [true | undefined, true | undefined, string | undefined] = [plain.warm, plain.timed_out, plain.signal];
  const bytes = await client.execute('python', null, 30, { files: [{ name: 'x.py', content: new Uint8Array(1) }], cold: true, binary: true });
  const out: Uint8Array = bytes.stdout;
  const batch: Result[] = await client.executeBatch('c', 'x', ['1', new Uint8Array(1)], 30, { limits: { output_kb: 1 }, env: { A: '1' } });
  // @ts-expect-error: text is no bytes
  const wrong: Uint8Array = plain.stdout;
  // @ts-expect-error: a misspelt option
  await client.execute('python', 'x', 30, { colt: true });
  void [text, marks, out, batch, wrong];
}

export async function run(): Promise<void> {
  const one: RunResult = await client.run('python', { 'x.py': 'print(1)' }, 'in', 30, { args: ['a'], env: {}, cold: true });
  const many: RunResult<Uint8Array>[] = await client.run('python', { 'x.py': 'x' }, ['1', '2'], 30, { binary: true });
  const failed: boolean = one.exception === 'Compilation failed';
  const errors: string | null = one.stderr;
  // @ts-expect-error: a list of inputs has a list of results
  const single: RunResult = await client.run('python', { 'x.py': 'x' }, ['1']);
  void [many, failed, errors, single];
}

export async function stream(): Promise<number | undefined> {
  const events: AsyncGenerator<StreamEvent, void, void> = client.stream('bash', 'echo', 30, { stdin: ['a'], cold: true });
  for await (const event of events) {
    if (event.kind === 'exit') return event.result.exit_code;
    const data: Uint8Array = event.data;
    void data;
  }
  return undefined;
}

export async function rest(): Promise<void> {
  const languages: Language[] = await client.languages();
  const toolchain: string | undefined = (await client.language('zig')).toolchain;
  const rootfs: Rootfs[] = await client.rootfs({ remote: true });
  const why: string | undefined = rootfs[0].last_build?.error;
  const build: string = (await client.createRootfs('ruby', { sizeMb: 512, force: true })).build;
  const snapshots: Snapshot[] = await client.snapshots();
  const started: string = (await client.createSnapshot('ruby', { memMb: 512, vcpus: 1 })).message;
  const version: string = (await client.health()).version;
  const e = new RunnerError('no', { status: 404, field: 'language', suggestion: 'ruby', retryAfter: 1 });
  const said: [number | undefined, string | undefined] = [e.status, e.suggestion];
  void [languages, toolchain, why, build, snapshots, started, version, said];
}

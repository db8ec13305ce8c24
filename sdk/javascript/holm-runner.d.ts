// SPDX-License-Identifier: Apache-2.0

export type Bytes = ArrayBuffer | ArrayBufferView;
export type Data = string | Bytes;
/** Names and contents. */
export type Files = Record<string, Data> | { name: string; content: Data }[];

/** What a program may use at the most. */
export interface Limits {
  memory_mb?: number;
  processes?: number;
  file_size_mb?: number;
  /** KiB of each of stdout and stderr; what is beyond is dropped. */
  output_kb?: number;
}

/** What is there only when it applies. */
export interface Marks {
  timed_out?: true;
  out_of_memory?: true;
  stdout_truncated?: true;
  stderr_truncated?: true;
  /** Like "SIGSEGV". */
  signal?: string;
  /** Its runtime had been started before, and took it over. */
  warm?: true;
}

export interface Usage {
  cpu_time_us: number;
  memory_peak_kb: number;
}

export interface Result<T = string> extends Marks, Usage {
  stdout: T;
  stderr: T;
  /** 128 + signal when a signal ended it; 124 at the timeout. */
  exit_code: number;
  /** Like "12ms". */
  load_time: string;
  exec_time: string;
  load_time_us: number;
  exec_time_us: number;
}

export interface ExitResult extends Marks, Usage {
  exit_code: number;
  load_time_us: number;
  exec_time_us: number;
}

export type StreamEvent =
  | { kind: 'stdout' | 'stderr'; data: Uint8Array; index?: number }
  | { kind: 'exit'; result: ExitResult; index?: number };

export interface RunResult<T = string> extends Marks, Usage {
  status: 'success';
  stdout: T;
  stderr: T | null;
  exception: 'Compilation failed' | 'Timeout' | 'Out of memory' | null;
  /** Milliseconds. */
  executionTime: number;
  exit_code: number;
  /** In the answer to a list: what it read; bytes, when one of the list was bytes. */
  stdin?: string | Uint8Array;
}

export interface Options {
  args?: string[];
  env?: Record<string, string>;
  files?: Files;
  limits?: Limits;
  /** Nothing that waits is used, all is started anew. */
  cold?: boolean;
  signal?: AbortSignal;
}

export interface ExecuteOptions extends Options {
  stdin?: Data;
  /** stdout and stderr as bytes. */
  binary?: boolean;
}

export interface RunOptions extends Omit<Options, 'files'> {
  /** stdout and stderr as bytes. */
  binary?: boolean;
}

export interface Language {
  name: string;
  extension: string;
  title: string;
  aliases: string[];
  /** Of its toolchain; empty when that is not known. */
  versions: string[];
  status: 'missing' | 'built' | 'preparing' | 'ready' | 'failed';
  pooled: number;
  detail?: string;
}

export interface LanguageDetail extends Language {
  image: string;
  file: string;
  compile?: string;
  run: string;
  hello: string;
  memory_mib: number;
  /** What its image needs and no registry has. */
  toolchain?: string;
}

export interface LastBuild {
  /** Of /v1/builds. */
  id: string;
  kind: string;
  status: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  error?: string;
}

export interface Rootfs {
  language: string;
  size: number;
  path: string;
  source: 'local' | 's3';
  image: string;
  shared_with: string[];
  status: 'ready' | 'building' | 'failed';
  /** Here only. */
  allocated?: number;
  last_build?: LastBuild;
  /** In the store only. */
  key?: string;
  lastModified?: string;
}

export interface Snapshot {
  language: string;
  path: string;
  source: 'local' | 's3';
  image: string;
  /** Here only. */
  vmstate_size?: number;
  mem_size?: number;
  vcpus?: number;
  allocated?: number;
  /** In the store only. */
  key?: string;
  s3_path?: string;
  size?: number;
  lastModified?: string;
}

export interface Started {
  message: string;
  language: string;
}

export interface RootfsStarted extends Started {
  /** The id of its `last_build`. */
  build: string;
}

export class RunnerError extends Error {
  constructor(message: string, more?: { status?: number; field?: string; suggestion?: string; retryAfter?: number; cause?: unknown });
  /** HTTP's. */
  status?: number;
  /** What is at fault in the request. */
  field?: string;
  /** What was probably meant. */
  suggestion?: string;
  /** Seconds after which it is worth trying again. */
  retryAfter?: number;
}

export interface ClientOptions {
  apiKey?: string;
  /** How often a request that found no room is made again. Default 0. */
  retries?: number;
  /**
   * For how many seconds beyond the program's timeout an answer is waited for; default 240. It should be more than the
   * daemon itself waits: pool.prepare_wait_s and limits.run_wait_s together, and more where images are pulled on demand.
   */
  patience?: number;
  /** Instead of the global one. */
  fetch?: typeof globalThis.fetch;
}

export class RunnerClient {
  constructor(url?: string, options?: ClientOptions);
  readonly url: string;
  execute(language: string, code?: string | null, timeout?: number, options?: ExecuteOptions & { binary?: false }): Promise<Result>;
  execute(language: string, code: string | null | undefined, timeout: number, options: ExecuteOptions & { binary: true }): Promise<Result<Uint8Array>>;
  executeBatch(language: string, code: string | null | undefined, inputs: Data[], timeout?: number, options?: Options & { binary?: false }): Promise<Result[]>;
  executeBatch(language: string, code: string | null | undefined, inputs: Data[], timeout: number, options: Options & { binary: true }): Promise<Result<Uint8Array>[]>;
  stream(language: string, code?: string | null, timeout?: number, options?: Options & { stdin?: Data | Data[] }): AsyncGenerator<StreamEvent, void, void>;
  run(language: string, files: Files, stdin?: Data, timeout?: number, options?: RunOptions & { binary?: false }): Promise<RunResult>;
  run(language: string, files: Files, stdin: Data[], timeout?: number, options?: RunOptions & { binary?: false }): Promise<RunResult[]>;
  run(language: string, files: Files, stdin: Data | undefined, timeout: number, options: RunOptions & { binary: true }): Promise<RunResult<Uint8Array>>;
  run(language: string, files: Files, stdin: Data[], timeout: number, options: RunOptions & { binary: true }): Promise<RunResult<Uint8Array>[]>;
  health(): Promise<{ status: string; version: string }>;
  languages(): Promise<Language[]>;
  language(name: string): Promise<LanguageDetail>;
  rootfs(options?: { remote?: boolean }): Promise<Rootfs[]>;
  createRootfs(language: string, options?: { sizeMb?: number; force?: boolean }): Promise<RootfsStarted>;
  snapshots(options?: { remote?: boolean }): Promise<Snapshot[]>;
  createSnapshot(language: string, options?: { memMb?: number; vcpus?: number }): Promise<Started>;
}

export default RunnerClient;

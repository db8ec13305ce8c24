// SPDX-License-Identifier: Apache-2.0

export type Bytes = ArrayBuffer | ArrayBufferView;
export type Data = string | Bytes;

/** What a program may use at the most. */
export interface Limits {
  memory_mb?: number;
  processes?: number;
  file_size_mb?: number;
  /** KiB of each of stdout and stderr; what is beyond is dropped. */
  output_kb?: number;
}

export interface Marks {
  timed_out?: true;
  out_of_memory?: true;
  stdout_truncated?: true;
  stderr_truncated?: true;
  /** Like "SIGSEGV". */
  signal?: string;
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

export interface RunResult extends Marks, Usage {
  status: 'success';
  stdout: string;
  stderr: string | null;
  exception: string | null;
  /** Milliseconds. */
  executionTime: number;
  exit_code: number;
  /** In the answer to a list: what it read. */
  stdin?: string;
}

export interface Options {
  args?: string[];
  env?: Record<string, string>;
  files?: Record<string, Data>;
  limits?: Limits;
  signal?: AbortSignal;
}

export interface ExecuteOptions extends Options {
  stdin?: Data;
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
}

export class RunnerError extends Error {
  constructor(message: string, more?: { status?: number; field?: string; retryAfter?: number });
  /** HTTP's. */
  status?: number;
  /** What is at fault in the request. */
  field?: string;
  /** Seconds after which it is worth trying again. */
  retryAfter?: number;
}

export interface ClientOptions {
  apiKey?: string;
  /** How often a request that found no room is made again. Default 0. */
  retries?: number;
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
  run(language: string, files: Record<string, string> | { name: string; content: string }[], stdin?: string, timeout?: number, options?: { limits?: Limits; signal?: AbortSignal }): Promise<RunResult>;
  run(language: string, files: Record<string, string> | { name: string; content: string }[], stdin: string[], timeout?: number, options?: { limits?: Limits; signal?: AbortSignal }): Promise<RunResult[]>;
  health(): Promise<{ status: string; version: string }>;
  languages(): Promise<Language[]>;
  language(name: string): Promise<LanguageDetail>;
  rootfs(options?: { remote?: boolean }): Promise<Record<string, unknown>[]>;
  createRootfs(language: string, options?: { sizeMb?: number }): Promise<Record<string, unknown>>;
  snapshots(options?: { remote?: boolean }): Promise<Record<string, unknown>[]>;
  createSnapshot(language: string, options?: { memMb?: number; vcpus?: number }): Promise<Record<string, unknown>>;
}

export default RunnerClient;

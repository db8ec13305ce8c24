// SPDX-License-Identifier: Apache-2.0
// A client of Holm's code runner: source code in, output out. No dependencies; browsers, Node.js 18 and later, Deno, Bun.
//
//   import { RunnerClient } from './holm-runner.js';
//
//   const client = new RunnerClient('http://localhost:8080');
//   const result = await client.execute('nodejs', 'console.log(2 ** 10)');
//   console.log(result.stdout); // 1024
//
// A program that fails is a result like any other. What the daemon refuses, or cannot do, rejects with a RunnerError; a
// daemon that cannot be reached, with what fetch rejects with.

/** The daemon's refusal. */
export class RunnerError extends Error {
  constructor(message, { status, field, retryAfter } = {}) {
    super(message);
    this.name = 'RunnerError';
    this.status = status;
    this.field = field;
    this.retryAfter = retryAfter;
  }
}

// What a request may take beyond the program's own time: waiting for a VM, and the way there and back.
const PATIENCE_S = 150;
const PIECE = 0x8000; // arguments of one call

function toBase64(data) {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += PIECE) text += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

// As text where that is all it is, else all of it as base64.
function putStdin(body, stdin) {
  if (stdin === undefined) return;
  const list = Array.isArray(stdin) ? stdin : [stdin];
  const isText = list.every((one) => typeof one === 'string');
  if (!isText) body.stdin_encoding = 'base64';
  const inputs = isText ? list : list.map(toBase64);
  body.stdin = Array.isArray(stdin) ? inputs : inputs[0];
}

function putFiles(body, files) {
  if (!files) return;
  const isText = Object.values(files).every((data) => typeof data === 'string');
  if (!isText) body.files_encoding = 'base64';
  body.files = isText ? files : Object.fromEntries(Object.entries(files).map(([name, data]) => [name, toBase64(data)]));
}

function executeBody(language, code, timeout, { args, env, files, limits, stdin, binary }) {
  const body = { language, timeout };
  if (code !== undefined && code !== null) body.code = code;
  if (args) body.args = args;
  if (env) body.env = env;
  if (limits) body.limits = limits;
  if (binary) body.output_encoding = 'base64';
  putFiles(body, files);
  putStdin(body, stdin);
  return body;
}

function resultOf(answer, binary) {
  return binary ? { ...answer, stdout: fromBase64(answer.stdout), stderr: fromBase64(answer.stderr) } : answer;
}

async function errorOf(response) {
  const after = Number(response.headers.get('retry-after') ?? NaN);
  const more = { status: response.status, retryAfter: Number.isNaN(after) ? undefined : after };
  try {
    const { error, field } = await response.json();
    return new RunnerError(error, { ...more, field });
  } catch {
    return new RunnerError(`HTTP status ${response.status}`, more);
  }
}

// The last event in the words of an answer.
function exitOf({ t: _t, i: _i, to: _to, c, ms, load_ms, ...rest }) {
  return { exit_code: c, exec_time_us: ms * 1000, load_time_us: load_ms * 1000, ...rest };
}

function eventOf(line) {
  const event = JSON.parse(line);
  if (event.t === 'error') throw new RunnerError(event.error, { status: event.status, field: event.field });
  if (event.t === 'x') return { kind: 'exit', result: exitOf(event), index: event.i };
  return { kind: event.t === 'o' ? 'stdout' : 'stderr', data: fromBase64(event.d), index: event.i };
}

async function* linesOf(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (text + decoder.decode(value, { stream: true })).split('\n');
      text = lines.pop();
      yield* lines;
    }
    if (text) yield text;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

// The caller's signal, or the end of our patience, whichever comes first.
function deadline(seconds, signal) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal.reason);
  const late = () => controller.abort(new DOMException('the daemon did not answer in time', 'TimeoutError'));
  const timer = setTimeout(late, seconds * 1000);
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  const clear = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  };
  return { signal: controller.signal, clear };
}

const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener('abort', () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

export class RunnerClient {
  /** `retries`: how often a request that found no room (503) is made again, after as long as the daemon asks for. */
  constructor(url = 'http://localhost:8080', { apiKey, retries = 0, fetch: fetcher } = {}) {
    this.url = url.replace(/\/+$/, '');
    this.apiKey = apiKey;
    this.retries = retries;
    this.fetcher = fetcher ?? ((...args) => globalThis.fetch(...args));
  }

  /** Runs a program. Without code one of `options.files` is the program. */
  async execute(language, code, timeout = 30, options = {}) {
    const body = executeBody(language, code, timeout, options);
    const answer = await this.#json('POST', '/api/v1/execute', body, timeout, options.signal);
    return resultOf(answer, options.binary);
  }

  /** Runs a program once for each input, compiled once; the timeout is each one's. */
  async executeBatch(language, code, inputs, timeout = 30, options = {}) {
    const body = executeBody(language, code, timeout, { ...options, stdin: inputs });
    const answer = await this.#json('POST', '/api/v1/execute', body, timeout * (inputs.length + 1), options.signal);
    return answer.map((one) => resultOf(one, options.binary));
  }

  /** Runs a program and yields its output as it comes, then how it ended. Leaving the loop ends the program. */
  async *stream(language, code, timeout = 30, options = {}) {
    const body = executeBody(language, code, timeout, { ...options, binary: false });
    const entries = Array.isArray(options.stdin) ? options.stdin.length + 1 : 1;
    const headers = { accept: 'application/x-ndjson' };
    const { response, clear } = await this.#open('POST', '/api/v1/execute', body, timeout * entries, options.signal, headers);
    let ended = false;
    try {
      for await (const line of linesOf(response.body)) {
        const event = eventOf(line);
        ended = event.kind === 'exit';
        yield event;
      }
    } finally {
      clear();
    }
    if (!ended) throw new RunnerError('the stream was cut before the end of the program', { status: 502 });
  }

  /** POST /api/v1/run. A list of inputs is answered with a list of results. */
  run(language, files, stdin, timeout = 30, options = {}) {
    const body = { language, files, timeout };
    if (stdin !== undefined) body.stdin = stdin;
    if (options.limits) body.limits = options.limits;
    const entries = Array.isArray(stdin) ? stdin.length : 1;
    return this.#json('POST', '/api/v1/run', body, timeout * (entries + 1), options.signal);
  }

  health() {
    return this.#json('GET', '/health');
  }

  async languages() {
    return (await this.#json('GET', '/api/v1/languages')).languages;
  }

  language(name) {
    return this.#json('GET', `/api/v1/languages/${encodeURIComponent(name)}`);
  }

  async rootfs({ remote = false } = {}) {
    return (await this.#json('GET', `/api/v1/rootfs${remote ? '?remote=true' : ''}`)).rootfs;
  }

  createRootfs(language, { sizeMb } = {}) {
    return this.#json('POST', '/api/v1/rootfs', { language, ...(sizeMb && { size_mb: sizeMb }) });
  }

  async snapshots({ remote = false } = {}) {
    return (await this.#json('GET', `/api/v1/snapshots${remote ? '?remote=true' : ''}`)).snapshots;
  }

  createSnapshot(language, { memMb, vcpus } = {}) {
    return this.#json('POST', '/api/v1/snapshots', { language, ...(memMb && { mem_mb: memMb }), ...(vcpus && { vcpus }) });
  }

  async #openOnce(method, path, body, timeout, signal, headers) {
    const wait = deadline(timeout + PATIENCE_S, signal);
    try {
      const response = await this.fetcher(this.url + path, {
        method,
        headers: {
          ...headers,
          ...(body && { 'content-type': 'application/json' }),
          ...(this.apiKey && { 'x-api-key': this.apiKey }),
        },
        body: body && JSON.stringify(body),
        signal: wait.signal,
      });
      if (!response.ok) throw await errorOf(response);
      return { response, clear: wait.clear };
    } catch (e) {
      wait.clear();
      throw e;
    }
  }

  async #open(method, path, body, timeout = 0, signal, headers = {}) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#openOnce(method, path, body, timeout, signal, headers);
      } catch (e) {
        if (!(e instanceof RunnerError) || e.status !== 503 || attempt >= this.retries) throw e;
        await pause(e.retryAfter ?? 1, signal);
      }
    }
  }

  async #json(method, path, body, timeout, signal) {
    const { response, clear } = await this.#open(method, path, body, timeout, signal);
    try {
      return await response.json();
    } finally {
      clear();
    }
  }
}

export default RunnerClient;

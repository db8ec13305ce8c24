// SPDX-License-Identifier: Apache-2.0
// A client of Holm's code runner: source code in, output out. No dependencies; browsers, Node.js 18 and later, Deno, Bun.
//
//   import { RunnerClient } from './holm-runner.js';
//
//   const client = new RunnerClient('http://localhost:8080');
//   const result = await client.execute('nodejs', 'console.log(2 ** 10)');
//   console.log(result.stdout); // 1024
//
// A program that fails is a result like any other. What the daemon refuses, or cannot do, rejects with a RunnerError, and
// so does a stream that is cut; a daemon that cannot be reached, with what fetch rejects with; one that is silent for too
// long, with a DOMException named TimeoutError.

/** The daemon's refusal. */
export class RunnerError extends Error {
  constructor(message, { status, field, suggestion, retryAfter, cause } = {}) {
    super(message, { cause });
    this.name = 'RunnerError';
    this.status = status;
    this.field = field;
    this.suggestion = suggestion;
    this.retryAfter = retryAfter;
  }
}

// What a request may take beyond the program's own time. A daemon as it is configured by default waits 120 s for a
// language to be prepared and 60 s for room; the rest is for the VM's start.
const PATIENCE_S = 240;
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

// Likewise; names and contents are an object, or a list of { name, content }.
function putFiles(body, files) {
  if (!files) return;
  const pairs = Array.isArray(files) ? files.map(({ name, content }) => [name, content]) : Object.entries(files);
  const isText = pairs.every(([, content]) => typeof content === 'string');
  if (!isText) body.files_encoding = 'base64';
  body.files = pairs.map(([name, content]) => ({ name, content: isText ? content : toBase64(content) }));
}

function bodyOf(language, code, timeout, { args, env, files, limits, stdin, cold, binary }) {
  const body = { language, timeout };
  if (code !== undefined && code !== null) body.code = code;
  if (args) body.args = args;
  if (env) body.env = env;
  if (limits) body.limits = limits;
  if (cold) body.cold = true;
  if (binary) body.output_encoding = 'base64';
  putFiles(body, files);
  putStdin(body, stdin);
  return body;
}

// The answer to `body`, with bytes where that wanted or sent base64.
function resultOf(answer, body) {
  const result = { ...answer };
  const decode = (name) => { if (typeof result[name] === 'string') result[name] = fromBase64(result[name]); };
  if (body.output_encoding) ['stdout', 'stderr'].forEach(decode);
  if (body.stdin_encoding) decode('stdin');
  return result;
}

async function errorOf(response) {
  const after = Number(response.headers.get('retry-after') ?? NaN);
  const more = { status: response.status, retryAfter: Number.isNaN(after) ? undefined : after };
  try {
    const { error, field, suggestion } = await response.json();
    return new RunnerError(error, { ...more, field, suggestion });
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
  if (event.t === 'error') throw new RunnerError(event.error, event);
  if (event.t === 'x') return { kind: 'exit', result: exitOf(event), index: event.i };
  return { kind: event.t === 'o' ? 'stdout' : 'stderr', data: fromBase64(event.d), index: event.i };
}

const cut = (cause) => new RunnerError('the stream was cut before the end of the program', { status: 502, cause });

// `signal` tells whether it was us who cut it.
async function* linesOf(stream, signal) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((e) => { throw signal.aborted ? signal.reason : cut(e); });
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
  /**
   * `retries`: how often a request that found no room (503) is made again, after as long as the daemon asks for.
   * `patience`: for how many seconds beyond the program's timeout an answer is waited for. It should be more than the daemon
   * itself waits: pool.prepare_wait_s and limits.run_wait_s together, and more where images are pulled when they are wanted.
   */
  constructor(url = 'http://localhost:8080', { apiKey, retries = 0, patience = PATIENCE_S, fetch: fetcher } = {}) {
    this.url = url.replace(/\/+$/, '');
    this.apiKey = apiKey;
    this.retries = retries;
    this.patience = patience;
    this.fetcher = fetcher ?? ((...args) => globalThis.fetch(...args));
  }

  /** Runs a program. Without code one of `options.files` is the program. */
  async execute(language, code, timeout = 30, options = {}) {
    const body = bodyOf(language, code, timeout, options);
    return resultOf(await this.#json('POST', '/api/v1/execute', body, timeout, options.signal), body);
  }

  /** Runs a program once for each input, compiled once; the timeout is each one's. */
  async executeBatch(language, code, inputs, timeout = 30, options = {}) {
    const body = bodyOf(language, code, timeout, { ...options, stdin: inputs });
    const answer = await this.#json('POST', '/api/v1/execute', body, timeout * (inputs.length + 1), options.signal);
    return answer.map((one) => resultOf(one, body));
  }

  /** Runs a program and yields its output as it comes, then how it ended. Leaving the loop ends the program. */
  async *stream(language, code, timeout = 30, options = {}) {
    const body = bodyOf(language, code, timeout, { ...options, binary: false });
    const entries = Array.isArray(options.stdin) ? options.stdin.length + 1 : 1;
    const headers = { accept: 'application/x-ndjson' };
    const { response, wait } = await this.#open('POST', '/api/v1/execute', body, timeout * entries, options.signal, headers);
    let ended = false;
    try {
      for await (const line of linesOf(response.body, wait.signal)) {
        const event = eventOf(line);
        ended = event.kind === 'exit';
        yield event;
      }
    } finally {
      wait.clear();
    }
    if (!ended) throw cut();
  }

  /** POST /api/v1/run. A list of inputs is answered with a list of results. */
  async run(language, files, stdin, timeout = 30, options = {}) {
    const body = bodyOf(language, undefined, timeout, { ...options, files, stdin });
    const entries = Array.isArray(stdin) ? stdin.length : 1;
    const answer = await this.#json('POST', '/api/v1/run', body, timeout * (entries + 1), options.signal);
    return Array.isArray(answer) ? answer.map((one) => resultOf(one, body)) : resultOf(answer, body);
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

  /** `force`: also when it is up to date. It goes on in the background: see `last_build` of what rootfs() lists. */
  createRootfs(language, { sizeMb, force } = {}) {
    return this.#json('POST', '/api/v1/rootfs', { language, ...(sizeMb && { size_mb: sizeMb }), ...(force && { force }) });
  }

  async snapshots({ remote = false } = {}) {
    return (await this.#json('GET', `/api/v1/snapshots${remote ? '?remote=true' : ''}`)).snapshots;
  }

  createSnapshot(language, { memMb, vcpus } = {}) {
    return this.#json('POST', '/api/v1/snapshots', { language, ...(memMb && { mem_mb: memMb }), ...(vcpus && { vcpus }) });
  }

  async #openOnce(method, path, body, timeout, signal, headers) {
    const wait = deadline(timeout + this.patience, signal);
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
      return { response, wait };
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
    const { response, wait } = await this.#open(method, path, body, timeout, signal);
    try {
      return await response.json();
    } finally {
      wait.clear();
    }
  }
}

export default RunnerClient;

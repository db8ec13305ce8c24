// SPDX-License-Identifier: Apache-2.0
// Calls to the daemon that serves this page. The session's cookie goes along by itself; a 401 means
// that it is over, and shows the login. When the daemon cannot be reached at all the page says so
// and asks again until it can.

import { createStore } from '../store';

export const NATIVE = '/native/v1';
export const RDS = '/rds/v1';
export const AUTH = '/rds/auth';

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number, // 0: no answer came
    readonly field?: string,
    readonly retryAfterS?: number,
  ) {
    super(message);
  }
}

export interface Me {
  email: string;
  accountId: string;
  accountName: string;
  admin: boolean;
}

// undefined: not known yet; null: nobody is logged in.
export const me = createStore<Me | null | undefined>(undefined);
// A session was there and is over: the login says why it is shown.
export const sessionExpired = createStore(false);
export const offline = createStore(false);

type Query = Record<string, string | number | boolean | undefined>;

export interface CallOptions {
  query?: Query;
  body?: unknown; // sent as JSON; or a Blob, as it is
  signal?: AbortSignal;
  headers?: Record<string, string>;
  // A 401 is an answer like others (the login's own calls).
  isLogin?: boolean;
}

export function url(path: string, query?: Query): string {
  const q = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {}))
    if (value !== undefined) q.append(key, String(value));
  const text = q.toString();
  return text ? `${path}?${text}` : path;
}

const WORDS: Record<number, string> = {
  403: 'You may not do this.',
  404: 'It is not there (any more).',
  413: 'That is too large.',
  429: 'Too many requests: wait a moment.',
  502: 'The VM does not answer.',
  503: 'There is no room for this now.',
  504: 'The VM did not answer in time.',
};

// Both dialects say {"message"}; the native one has the field one level deeper.
export function errorOf(status: number, text: string, retryAfter: string | null): ApiError {
  let message = WORDS[status] ?? `The daemon answered ${status}.`, field: string | undefined;
  try {
    const body = JSON.parse(text);
    message = body.message ?? body.error?.message ?? message;
    field = body.field ?? body.error?.field;
  } catch { /* a proxy's page, or nothing: the status says enough */ }
  const retryAfterS = retryAfter && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  return new ApiError(sentence(message), status, field, retryAfterS);
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function signedOut() {
  if (me.get()) sessionExpired.set(true);
  me.set(null);
}

export function wasAborted(e: unknown): boolean {
  return e instanceof DOMException && e.name === 'AbortError';
}

export function messageOf(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}

// The answer itself, for streams and files; throws ApiError for all that is no success.
export async function send(method: string, path: string, o: CallOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...o.headers };
  let body: BodyInit | undefined;
  if (o.body instanceof Blob) {
    body = o.body;
  } else if (o.body !== undefined) {
    body = JSON.stringify(o.body);
    headers['Content-Type'] = 'application/json';
  }
  let res: Response;
  try {
    res = await fetch(url(path, o.query), { method, headers, body, signal: o.signal, credentials: 'same-origin' });
  } catch (e) {
    if (wasAborted(e)) throw e;
    lost();
    throw new ApiError('Holm cannot be reached.', 0);
  }
  offline.set(false);
  if (res.ok) return res;
  if (res.status === 401 && !o.isLogin) signedOut();
  throw errorOf(res.status, await res.text().catch(() => ''), res.headers.get('Retry-After'));
}

export async function call<T>(method: string, path: string, o: CallOptions = {}): Promise<T> {
  const res = await send(method, path, o);
  const text = await res.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal) => call<T>('GET', path, { query, signal });
export const post = <T>(path: string, body?: unknown, signal?: AbortSignal) => call<T>('POST', path, { body, signal });
export const patch = <T>(path: string, body: unknown) => call<T>('PATCH', path, { body });
export const del = <T>(path: string, query?: Query) => call<T>('DELETE', path, { query });

// --- Reachability ---

const RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 15_000;
let retryTimer: number | undefined;
let retryMs = RETRY_FIRST_MS;

function lost() {
  offline.set(true);
  if (retryTimer === undefined) retryTimer = window.setTimeout(retryNow, retryMs);
}

export async function retryNow() {
  window.clearTimeout(retryTimer);
  retryTimer = undefined;
  try {
    await fetch('/healthz', { cache: 'no-store' });
    retryMs = RETRY_FIRST_MS;
    offline.set(false);
  } catch {
    retryMs = Math.min(retryMs * 2, RETRY_MOST_MS);
    lost();
  }
}

// --- The session ---

export async function loadMe() {
  try {
    me.set(await call<Me>('GET', `${AUTH}/me`, { isLogin: true }));
  } catch (e) {
    if (e instanceof ApiError && e.status === 0) throw e;
    me.set(null);
  }
}

export async function login(body: { email: string; password: string } | { apiKey: string }) {
  await call('POST', `${AUTH}/login`, { body, isLogin: true });
  sessionExpired.set(false);
  await loadMe();
}

export async function logout() {
  await call('POST', `${AUTH}/logout`, { isLogin: true });
  sessionExpired.set(false);
  me.set(null);
}

export const loginMethods = () => call<{ password: boolean }>('GET', `${AUTH}/methods`, { isLogin: true });

// --- Uploads: only XMLHttpRequest tells how far it is ---

export interface UploadProgress {
  sent: number;
  total: number;
  bytesPerSecond: number;
}

export function upload(
  method: string, path: string, file: Blob,
  { query, contentType = 'application/octet-stream', onProgress, signal }: {
    query?: Query; contentType?: string; onProgress?: (p: UploadProgress) => void; signal?: AbortSignal;
  } = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest(), startedAt = performance.now();
    xhr.open(method, url(path, query));
    xhr.setRequestHeader('Content-Type', contentType);
    xhr.setRequestHeader('Accept', 'application/json');
    xhr.upload.onprogress = (e) => onProgress?.({
      sent: e.loaded, total: file.size,
      bytesPerSecond: e.loaded / Math.max(0.001, (performance.now() - startedAt) / 1000),
    });
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) {
        resolve(xhr.responseText ? JSON.parse(xhr.responseText) : undefined);
        return;
      }
      if (xhr.status === 401) signedOut();
      reject(errorOf(xhr.status, xhr.responseText, xhr.getResponseHeader('Retry-After')));
    };
    xhr.onerror = () => reject(new ApiError('The connection was cut.', 0));
    xhr.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    signal?.addEventListener('abort', () => xhr.abort());
    if (signal?.aborted) xhr.abort(); else xhr.send(file);
  });
}

// --- Streams of JSON lines ---

export async function* ndjson<T>(res: Response): AsyncGenerator<T> {
  const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line) yield JSON.parse(line) as T;
    }
    if (rest) yield JSON.parse(rest) as T;
  } finally {
    reader.cancel().catch(() => {});
  }
}

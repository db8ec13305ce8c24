// SPDX-License-Identifier: Apache-2.0
// What happens on the host, as it happens: one EventSource for the whole page, while somebody
// listens, an administrator is logged in, and the page can be seen: a browser has six connections to
// a host for all its tabs. The browser connects anew by itself and goes on
// behind the last event it saw; only an answer that is no stream ends it, and then we try again.

import { createStore } from '../store';
import { RDS, me } from './client';
import type { ActivityEvent } from './rds';

type Listener = (event: ActivityEvent) => void;

const RECONNECT_MS = 5000;
const listeners = new Set<Listener>();
let source: EventSource | null = null;
let timer: number | undefined;
let lastId = 0;

// Whether events come in: pages that see it poll less often.
export const live = createStore(false);

function connect() {
  window.clearTimeout(timer);
  timer = undefined;
  if (source || listeners.size === 0 || document.hidden || !me.get()?.admin) return;
  const opened = new EventSource(`${RDS}/admin/events${lastId ? `?after=${lastId}` : ''}`);
  source = opened;
  opened.onopen = () => live.set(true);
  opened.onerror = () => {
    live.set(false);
    if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
    source = null;
    timer = window.setTimeout(connect, RECONNECT_MS);
  };
  opened.addEventListener('activity', (e) => {
    const event = JSON.parse((e as MessageEvent<string>).data) as ActivityEvent;
    lastId = Math.max(lastId, event.id);
    for (const listener of [...listeners]) tell(listener, event);
  });
}

// One that throws is reported as uncaught, and keeps nobody else from the event.
function tell(listener: Listener, event: ActivityEvent) {
  try {
    listener(event);
  } catch (e) {
    reportError(e);
  }
}

function disconnect() {
  window.clearTimeout(timer);
  timer = undefined;
  source?.close();
  source = null;
  live.set(false);
}

me.subscribe(() => {
  disconnect();
  lastId = 0;
  connect();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) disconnect();
  else connect();
});

// Calls `listener` for each event from now on; returns how to end that.
export function onActivity(listener: Listener): () => void {
  listeners.add(listener);
  connect();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) disconnect();
  };
}

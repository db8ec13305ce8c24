// SPDX-License-Identifier: Apache-2.0
// Data that a page shows: loaded when it appears, again every `everyMs` while the page can be seen,
// when an event tells of a change, and when somebody asks. What was there stays in view while it
// loads; an error beside old data does not replace it.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { ApiError, offline, wasAborted } from './client';
import { onActivity } from './events';
import type { ActivityEvent } from './rds';

export interface Query<T> {
  data: T | undefined;
  error: Error | undefined;
  loading: boolean; // the first time, or after the key changed
  reload: () => void;
  setData: (data: T) => void; // what an answer to a change already told
}

interface QueryOptions {
  everyMs?: number;
  onEvent?: (event: ActivityEvent) => boolean; // whether to load again
  enabled?: boolean;
}

// Several events in a row are one load.
const EVENT_PAUSE_MS = 100;

export function useQuery<T>(key: string, load: (signal: AbortSignal) => Promise<T>, o: QueryOptions = {}): Query<T> {
  const { everyMs, enabled = true } = o;
  const [state, setState] = useState<{ key: string; data?: T; error?: Error }>({ key });
  const latest = useRef({ load, onEvent: o.onEvent });
  latest.current = { load, onEvent: o.onEvent };
  const reloadRef = useRef<() => void>(() => {});

  useEffect(() => {
    if (!enabled) return undefined;
    const abort = new AbortController();
    let timer: number | undefined, busy = false, again = false;

    const run = async () => {
      window.clearTimeout(timer);
      if (busy) { again = true; return; }
      busy = true;
      try {
        const data = await latest.current.load(abort.signal);
        if (!abort.signal.aborted) setState({ key, data });
      } catch (e) {
        if (wasAborted(e) || abort.signal.aborted) return;
        const isUnreachable = e instanceof ApiError && e.status === 0;
        setState((s) => {
          const data = s.key === key ? s.data : undefined;
          // That the daemon cannot be reached is told once, by the banner.
          return isUnreachable && data !== undefined ? { key, data } : { key, data, error: e as Error };
        });
      } finally {
        busy = false;
      }
      if (abort.signal.aborted) return;
      if (again) { again = false; void run(); return; }
      if (everyMs) timer = window.setTimeout(tick, everyMs);
    };
    const tick = () => {
      if (document.hidden) return; // visibilitychange goes on
      void run();
    };
    const onVisible = () => { if (!document.hidden && everyMs) void run(); };
    document.addEventListener('visibilitychange', onVisible);
    const endOffline = offline.subscribe(() => { if (!offline.get()) void run(); });
    const endEvents = o.onEvent && onActivity((event) => {
      if (!latest.current.onEvent?.(event)) return;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void run(), EVENT_PAUSE_MS);
    });
    reloadRef.current = () => void run();
    void run();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
      endOffline();
      endEvents?.();
    };
  }, [key, enabled, everyMs]);

  const same = state.key === key;
  const reload = useCallback(() => reloadRef.current(), []);
  const setData = useCallback((data: T) => setState({ key, data }), [key]);
  return {
    data: same ? state.data : undefined,
    error: same ? state.error : undefined,
    loading: enabled && (!same || (state.data === undefined && state.error === undefined)),
    reload,
    setData,
  };
}

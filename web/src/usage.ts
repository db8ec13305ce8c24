// SPDX-License-Identifier: Apache-2.0
// What VMs use, from their stats: counters become rates, and the last minutes are kept for charts.

import { useEffect, useRef, useState } from 'preact/hooks';

import type { Point } from './charts';
import { offline } from './api/client';
import { vms, type VmStats } from './api/native';

export interface Usage {
  cpu: Point[]; // vCPUs that were busy
  memory: Point[]; // bytes on the host
  disk: Point[]; // bytes a second, read and written
  received: Point[];
  sent: Point[];
  last: VmStats;
}

interface Kept extends Usage {
  lastAt: number;
}

const KEEP_MS = 310_000;

function rate(now: number, before: number, seconds: number): number | null {
  // A counter that fell began anew with another monitor.
  return now < before ? null : (now - before) / seconds;
}

function add(kept: Kept | undefined, stats: VmStats, at: number): Kept {
  const push = (points: Point[] | undefined, value: number | null): Point[] =>
    [...(points ?? []).filter(([t]) => t > at - KEEP_MS), [at, value]];
  const s = kept ? (at - kept.lastAt) / 1000 : 0;
  const perSecond = (name: keyof VmStats) => (kept && s > 0 ? rate(Number(stats[name]), Number(kept.last[name]), s) : null);
  const cpu = perSecond('cpuTimeMs');
  return {
    cpu: push(kept?.cpu, cpu === null ? null : cpu / 1000),
    memory: push(kept?.memory, stats.memoryBytes),
    disk: push(kept?.disk, perSecond('diskIoBytes')),
    received: push(kept?.received, perSecond('networkRxBytes')),
    sent: push(kept?.sent, perSecond('networkTxBytes')),
    last: stats,
    lastAt: at,
  };
}

const AT_ONCE = 4;

// Asks for the stats of these VMs every `everyMs` while the page can be seen.
export function useUsage(ids: string[], everyMs: number): ReadonlyMap<string, Usage> {
  const [usage, setUsage] = useState<ReadonlyMap<string, Kept>>(new Map());
  const wanted = useRef(ids);
  wanted.current = ids;
  const isAny = ids.length > 0;

  useEffect(() => {
    if (!isAny) return undefined;
    const abort = new AbortController(), kept = new Map<string, Kept>();
    let timer: number | undefined;
    const round = async () => {
      if (!document.hidden && !offline.get()) {
        const todo = [...wanted.current];
        for (const id of kept.keys()) if (!todo.includes(id)) kept.delete(id);
        const worker = async () => {
          for (let id; (id = todo.shift()) !== undefined && !abort.signal.aborted;) {
            try {
              kept.set(id, add(kept.get(id), await vms.stats(id, abort.signal), Date.now()));
            } catch { /* it stopped between two rounds; the list will say so */ }
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
        if (abort.signal.aborted) return;
        setUsage(new Map(kept));
      }
      timer = window.setTimeout(round, everyMs);
    };
    void round();
    return () => { abort.abort(); window.clearTimeout(timer); };
  }, [isAny, everyMs]);
  return usage;
}

export function lastValue(points: Point[] | undefined): number | null {
  return points?.length ? points[points.length - 1][1] : null;
}

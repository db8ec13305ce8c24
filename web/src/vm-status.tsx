// SPDX-License-Identifier: Apache-2.0
// What a VM's status looks like, and what may be done in it.

import type { VmStatus } from './api/native';
import { Badge, type Tone } from './ui';

const TONES: Record<VmStatus, Tone> = {
  provisioning: 'accent', running: 'good', pausing: 'warn', paused: 'warn', resuming: 'accent', suspending: 'info', suspended: 'info',
  stopping: 'neutral', stopped: 'neutral', deleting: 'neutral', error: 'bad',
};

const PASSING: VmStatus[] = ['provisioning', 'pausing', 'resuming', 'suspending', 'stopping', 'deleting'];

export const isPassing = (status: VmStatus) => PASSING.includes(status);

export function StatusBadge({ status, detail }: { status: VmStatus; detail?: string }) {
  return <Badge tone={TONES[status] ?? 'neutral'} dot={isPassing(status) ? 'pulse' : true} title={detail}>{status}</Badge>;
}

export type Move = 'start' | 'resume' | 'pause' | 'suspend' | 'stop' | 'fork' | 'snapshot' | 'delete';

// In which states each is offered; the daemon has the last word.
const ALLOWED: Record<Move, VmStatus[]> = {
  start: ['stopped', 'error'],
  resume: ['paused', 'suspended'],
  pause: ['running'],
  suspend: ['running', 'paused'],
  stop: ['running', 'paused'],
  fork: ['running', 'paused'],
  snapshot: ['running', 'paused'],
  delete: ['provisioning', 'running', 'pausing', 'paused', 'resuming', 'suspending', 'suspended', 'stopping', 'stopped', 'error'],
};

export const may = (move: Move, status: VmStatus) => ALLOWED[move].includes(status);

// SPDX-License-Identifier: Apache-2.0
// The native API, as far as the dashboard uses it (docs/native.md).

import { NATIVE, call, del, get, patch, post, send } from './client';

export type VmStatus =
  | 'provisioning' | 'running' | 'pausing' | 'paused' | 'resuming' | 'suspending' | 'suspended'
  | 'stopping' | 'stopped' | 'deleting' | 'error';

export interface Timer {
  seconds: number;
  action: 'pause' | 'delete' | 'suspend' | 'stop';
}

export interface Rule {
  action: 'allow' | 'deny';
  kind: 'cidr' | 'fqdn';
  value: string;
  protocol: string;
  ports: string;
}

export interface Axis {
  default: 'allow' | 'deny';
  rules: Rule[];
}

export interface Firewall {
  ingress?: Axis;
  egress?: Axis;
  dns?: { mode: 'allow' | 'deny'; domains: string[]; blockBypass: boolean };
}

export interface Vm {
  id: string;
  name: string;
  orgId: string;
  status: VmStatus;
  detail?: string;
  cpu: number;
  memoryMiB: number;
  diskGiB: number;
  createdAt: string;
  machineName: string;
  machineType?: string;
  nextMachineType?: string;
  sourceName: string | null;
  image?: string;
  metadata: Record<string, string>;
  envVars: Record<string, string>;
  firewall: Firewall | null;
  effectiveFirewall: Firewall;
  ttl?: Timer | null;
  expiresAtMs?: number;
  ttlRemainingMs?: number;
  pausedAt?: string | null;
  idle?: Timer | null;
  idleForMs?: number;
  forkedFrom?: string;
  snapshotId?: string;
}

export interface VmStats {
  cpuTimeMs: number;
  memoryBytes: number;
  privateMemoryBytes: number;
  diskBytes: number;
  diskIoBytes: number;
  networkRxBytes: number;
  networkTxBytes: number;
  commands: number;
  hostAddress?: string;
}

export interface Snapshot {
  id: string;
  name: string;
  orgId: string;
  vmId: string;
  status: string;
  createdAt: string;
  machineType: string;
  cpu: number;
  memoryMiB: number;
  diskGiB: number;
  image: string;
  sizeBytes: number;
  pauseMs: number;
  metadata: Record<string, string>;
}

export interface Image {
  id?: string;
  name: string;
  description?: string;
  state: string;
  detail?: string;
  diskGiB?: number;
  isDefault?: boolean;
  builtin?: boolean;
  hasKernel?: boolean;
  hasRootfs?: boolean;
  createdAt?: string;
}

export interface MachineType {
  name: string;
  cpu: number;
  memoryMiB: number;
}

export interface LaunchBody {
  name?: string;
  machineType?: string;
  cpu?: number; // both, in the place of machineType
  memoryMiB?: number;
  image?: string;
  snapshotId?: string;
  diskGiB?: number;
  metadata?: Record<string, string>;
  envVars?: Record<string, string>;
  firewall?: Firewall;
  ttl?: Timer;
  idle?: Timer;
}

export interface Fork {
  vmId: string;
  pauseMs: number;
  forks: { id: string; readyMs: number; vm: Vm }[];
}

export interface FileInfo {
  name: string;
  path?: string;
  type: 'file' | 'dir' | 'link' | 'other' | string;
  size: number;
  mode: string;
  uid: number;
  gid: number;
  mtimeMs: number;
}

export interface Job {
  execId: string;
  command: string[];
  running: boolean;
  exitCode?: number;
  timedOut?: boolean;
  startedAt: string;
  durationMs: number;
  outputBytes: number;
  firstOffset: number;
}

// t: "o" standard output, "e" standard error (d: base64), "x" the end.
export interface ExecEvent {
  t: 'o' | 'e' | 'x';
  d?: string;
  off?: number;
  c?: number;
  to?: boolean;
  ms?: number;
}

export interface ExecBody {
  command: string[];
  timeoutSec?: number;
  cwd?: string;
  user?: string;
  env?: Record<string, string>;
  background?: boolean;
}

export interface Quotas {
  orgId: string;
  limits: { vcpu: number; memoryMiB: number; diskGiB: number; snapshotCount: number };
  usage: { vcpu: number; memoryMiB: number; diskGiB: number; snapshotCount: number };
}

const NDJSON = { Accept: 'application/x-ndjson' };
const vm = (id: string) => `${NATIVE}/vms/${encodeURIComponent(id)}`;
const snapshot = (id: string) => `${NATIVE}/snapshots/${encodeURIComponent(id)}`;

export const vms = {
  list: (signal?: AbortSignal) => get<Vm[]>(`${NATIVE}/vms`, undefined, signal),
  get: (id: string, signal?: AbortSignal) => get<Vm>(vm(id), undefined, signal),
  stats: (id: string, signal?: AbortSignal) => get<VmStats>(`${vm(id)}/stats`, undefined, signal),
  launch: (body: LaunchBody) => post<Vm>(`${NATIVE}/vms`, body),
  update: (id: string, body: { name?: string; metadata?: Record<string, string>; ttl?: Timer | null; idle?: Timer | null }) =>
    patch<Vm>(vm(id), body),
  remove: (id: string) => del<{ id: string; deleted: boolean }>(vm(id)),
  move: (id: string, move: 'pause' | 'resume' | 'suspend' | 'start') => post<Vm>(`${vm(id)}/${move}`),
  stop: (id: string, force = false) => post<Vm>(`${vm(id)}/stop`, { force }),
  refreshTtl: (id: string) => post<Vm>(`${vm(id)}/ttl/refresh`),
  resize: (id: string, body: { diskGiB?: number; machineType?: string }) => post<Vm>(`${vm(id)}/resize`, body),
  fork: (id: string, body: { count: number; name?: string }) => post<Fork>(`${vm(id)}/fork`, body),
  setFirewall: (id: string, body: unknown) => call<Vm>('PUT', `${vm(id)}/firewall`, { body }),
  exec: (id: string, body: ExecBody, signal?: AbortSignal) =>
    send('POST', `${vm(id)}/exec`, { body, signal, headers: NDJSON }),
  runInBackground: (id: string, body: ExecBody) => post<{ execId: string }>(`${vm(id)}/exec`, { ...body, background: true }),
  jobs: (id: string, signal?: AbortSignal) => get<Job[]>(`${vm(id)}/exec`, undefined, signal),
  jobOutput: (id: string, job: string, offset: number, follow: boolean, signal?: AbortSignal) =>
    send('GET', `${vm(id)}/exec/${job}/output`, { query: { offset, follow: follow ? undefined : 0 }, signal, headers: NDJSON }),
  jobSignal: (id: string, job: string, signal?: number) => del<{ deleted: boolean }>(`${vm(id)}/exec/${job}`, { signal }),
  filesPath: (id: string) => `${vm(id)}/files`,
  listDir: (id: string, path: string, signal?: AbortSignal) =>
    get<{ entries: FileInfo[] }>(`${vm(id)}/files`, { path, list: 1 }, signal),
  removeFile: (id: string, path: string) => del(`${vm(id)}/files`, { path }),
  console: async (id: string, tail?: number, signal?: AbortSignal) =>
    (await send('GET', `${vm(id)}/console`, { query: { tail }, signal, headers: { Accept: 'text/plain' } })).text(),
  consoleToken: (id: string, body: { kind?: 'shell' | 'serial'; command?: string[]; user?: string }) =>
    post<{ token: string; expiresInSec: number; websocketPath: string }>(`${vm(id)}/console-token`, body),
};

export const snapshots = {
  list: (signal?: AbortSignal) => get<Snapshot[]>(`${NATIVE}/snapshots`, undefined, signal),
  create: (vmId: string, name?: string) => post<Snapshot>(`${NATIVE}/snapshots`, { vmId, name }),
  rename: (id: string, name: string) => patch<Snapshot>(snapshot(id), { name }),
  remove: (id: string) => del(snapshot(id)),
};

export const images = {
  list: (signal?: AbortSignal) => get<Image[]>(`${NATIVE}/images`, undefined, signal),
};

export const machineTypes = (signal?: AbortSignal) => get<MachineType[]>(`${NATIVE}/machine-types`, undefined, signal);
export const quotas = (signal?: AbortSignal) => get<Quotas>(`${NATIVE}/org/quotas`, undefined, signal);

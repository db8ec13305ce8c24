// SPDX-License-Identifier: Apache-2.0
// What the dashboard asks of the run-dat-sheesh dialect: administration and uploaded images
// (docs/rds.md).

import { RDS, del, get, patch, post } from './client';

export interface Overview {
  counts: { activeVms: number; vms: number; snapshots: number; templates: number; images: number };
  cpu: { usagePct: number; capacityCores: number; usedCores: number };
  memory: { usedBytes: number; capacityBytes: number; promisedBytes: number };
  storage: { usedBytes: number; capacityBytes: number; holmBytes: number };
  startedAt: string;
  version: string;
}

export interface ActivityEvent {
  id: number;
  type: string;
  createdAt: string;
  entityType: string;
  entityId: string | null; // session.* is about nothing that has one
  name: string;
  message: string;
  meta: Record<string, unknown>;
}

export interface Webhook {
  id: string;
  name: string;
  url: string;
  enabled: boolean;
  eventTypes: string[];
  createdAt: string;
  updatedAt: string;
  lastStatus: number | null;
  lastError: string | null;
  lastTriedAt: string | null;
  secret?: string; // only when it was made
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
  apiKey?: string; // only when it was made
}

export interface RdsImage {
  id: string;
  name: string;
  description: string;
  createdAt: string;
  kernelFilename: string | null;
  rootfsFilename: string | null;
  baseRootfsBytes: number | null;
  kernelUploadedAt: string | null;
  rootfsUploadedAt: string | null;
  isDefault: boolean;
  hasKernel: boolean;
  hasRootfs: boolean;
  builtin: boolean;
}

export const overview = (signal?: AbortSignal) => get<Overview>(`${RDS}/admin/overview`, undefined, signal);

export const activity = (q: { limit?: number; before?: number } = {}, signal?: AbortSignal) =>
  get<ActivityEvent[]>(`${RDS}/admin/activity`, q, signal);

const hook = (id: string) => `${RDS}/admin/webhooks/${encodeURIComponent(id)}`;
type HookBody = Partial<Pick<Webhook, 'name' | 'url' | 'enabled' | 'eventTypes'>>;

export const webhooks = {
  list: (signal?: AbortSignal) => get<Webhook[]>(`${RDS}/admin/webhooks`, undefined, signal),
  types: (signal?: AbortSignal) => get<string[]>(`${RDS}/admin/webhooks/event-types`, undefined, signal),
  create: (body: HookBody) => post<Webhook>(`${RDS}/admin/webhooks`, body),
  update: (id: string, body: HookBody) => patch<Webhook>(hook(id), body),
  remove: (id: string) => del(hook(id)),
};

export const keys = {
  list: (signal?: AbortSignal) => get<ApiKey[]>(`${RDS}/admin/api-keys`, undefined, signal),
  create: (body: { name: string; expiresAt?: string }) => post<ApiKey>(`${RDS}/admin/api-keys`, body),
  revoke: (id: string) => post(`${RDS}/admin/api-keys/${encodeURIComponent(id)}/revoke`),
};

const image = (id: string) => `${RDS}/images/${encodeURIComponent(id)}`;

export const rdsImages = {
  list: (signal?: AbortSignal) => get<RdsImage[]>(`${RDS}/images`, undefined, signal),
  create: (body: { name: string; description: string }) => post<RdsImage>(`${RDS}/images`, body),
  partPath: (id: string, part: 'kernel' | 'rootfs') => `${image(id)}/${part}`,
  setDefault: (id: string) => post(`${image(id)}/set-default`),
  remove: (id: string) => del(image(id)),
};

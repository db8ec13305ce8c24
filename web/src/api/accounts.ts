// SPDX-License-Identifier: Apache-2.0
// Accounts, their quotas and their keys: the native API's, for administrators.

import { NATIVE, del, get, patch, post } from './client';

export interface Amounts {
  vcpu: number;
  memoryMiB: number;
  diskGiB: number;
  snapshotCount: number;
}

export interface Account {
  id: string;
  name: string;
  admin: boolean;
  createdAt: string;
  quotas: Amounts; // 0: no bound
  usage: Amounts;
}

export interface AccountKey {
  id: string;
  name: string;
  accountId: string;
  prefix: string;
  createdAt: string;
  lastUsedAt: string | null;
  key?: string; // only when it was made
}

export interface AccountBody {
  name: string;
  quotas: Partial<Amounts>;
}

const account = (id: string) => `${NATIVE}/accounts/${encodeURIComponent(id)}`;

export const accounts = {
  list: (signal?: AbortSignal) => get<Account[]>(`${NATIVE}/accounts`, undefined, signal),
  create: (body: AccountBody) => post<Account>(`${NATIVE}/accounts`, body),
  update: (id: string, body: Partial<AccountBody>) => patch<Account>(account(id), body),
  remove: (id: string) => del(account(id)),
  createKey: (accountId: string, name: string) => post<AccountKey>(`${NATIVE}/keys`, { accountId, name }),
};

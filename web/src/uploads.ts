// SPDX-License-Identifier: Apache-2.0
// Uploads of kernels and root file systems. They belong to the app, not to a page: one may go elsewhere meanwhile. They
// end with the tab, so leaving that asks.

import { messageOf, upload, wasAborted, type UploadProgress } from './api/client';
import { rdsImages } from './api/rds';
import { createStore } from './store';

export type Part = 'kernel' | 'rootfs';
export const PARTS: Part[] = ['kernel', 'rootfs'];
export const PART_NAMES: Record<Part, string> = { kernel: 'Kernel', rootfs: 'Root file system' };

export interface Upload {
  imageId: string;
  imageName: string;
  part: Part;
  fileName: string;
  state: 'waiting' | 'sending' | 'checking' | 'done' | 'failed' | 'cancelled';
  progress: UploadProgress;
  error?: string;
}

export const uploads = createStore<Upload[]>([]);

const cancels = new Map<string, AbortController>();
const keyOf = (u: Pick<Upload, 'imageId' | 'part'>) => `${u.imageId} ${u.part}`;

export const isUnderWay = (u: Upload) => u.state === 'waiting' || u.state === 'sending' || u.state === 'checking';
export const uploadsOf = (list: Upload[], imageId: string) => list.filter((u) => u.imageId === imageId);

function change(key: string, to: Partial<Upload>) {
  uploads.set(uploads.get().map((u) => (keyOf(u) === key ? { ...u, ...to } : u)));
}

function askBeforeLeaving(e: BeforeUnloadEvent) {
  e.preventDefault();
}

uploads.subscribe(() => {
  if (uploads.get().some(isUnderWay)) window.addEventListener('beforeunload', askBeforeLeaving);
  else window.removeEventListener('beforeunload', askBeforeLeaving);
});

async function send(key: string, u: Upload, file: File, abort: AbortController) {
  try {
    change(key, { state: 'sending' });
    await upload('PUT', rdsImages.partPath(u.imageId, u.part), file, {
      signal: abort.signal,
      // Once all is sent, the daemon looks at the file.
      onProgress: (progress) => change(key, { progress, state: progress.sent >= progress.total ? 'checking' : 'sending' }),
    });
    change(key, { state: 'done' });
  } catch (e) {
    change(key, wasAborted(e) ? { state: 'cancelled' } : { state: 'failed', error: messageOf(e) });
  } finally {
    cancels.delete(key);
  }
}

// One after the other: the network is no faster by two at a time, and the small kernel is checked first. Resolves when
// all have come to an end, however.
export async function uploadParts(image: { id: string; name: string }, files: Partial<Record<Part, File>>) {
  const todo = PARTS.flatMap((part) => {
    const file = files[part];
    if (!file) return [];
    const u: Upload = {
      imageId: image.id, imageName: image.name, part, fileName: file.name, state: 'waiting',
      progress: { sent: 0, total: file.size, bytesPerSecond: 0 },
    };
    return [{ u, file, key: keyOf(u), abort: new AbortController() }];
  });
  const keys = new Set(todo.map((t) => t.key));
  for (const t of todo) cancels.set(t.key, t.abort);
  uploads.set([...uploads.get().filter((u) => !keys.has(keyOf(u))), ...todo.map((t) => t.u)]);
  for (const { u, file, key, abort } of todo)
    if (!abort.signal.aborted) await send(key, u, file, abort);
}

export function cancelUpload(u: Upload) {
  const key = keyOf(u);
  cancels.get(key)?.abort();
  change(key, { state: 'cancelled' });
}

export function forgetUpload(u: Upload) {
  uploads.set(uploads.get().filter((other) => keyOf(other) !== keyOf(u)));
}

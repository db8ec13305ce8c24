// SPDX-License-Identifier: Apache-2.0
// Short messages in the corner. Errors stay until they are closed.

import { messageOf } from '../api/client';
import { createStore, useStore } from '../store';
import { IconButton } from './basics';
import { Icon } from './icons';

interface Toast {
  id: number;
  tone: 'good' | 'bad' | 'info';
  text: string;
}

const STAY_MS = 4000, MOST = 4;
const toasts = createStore<Toast[]>([]);
let nextId = 1;

function close(id: number) {
  toasts.set(toasts.get().filter((t) => t.id !== id));
}

function show(tone: Toast['tone'], text: string) {
  const id = nextId++;
  // The same words twice are one message.
  toasts.set([...toasts.get().filter((t) => t.text !== text), { id, tone, text }].slice(-MOST));
  if (tone !== 'bad') window.setTimeout(() => close(id), STAY_MS);
}

export const toast = {
  done: (text: string) => show('good', text),
  info: (text: string) => show('info', text),
  error: (e: unknown) => show('bad', messageOf(e)),
};

export function Toasts() {
  const list = useStore(toasts);
  return (
    <div class="toasts" role="region" aria-label="Messages" aria-live="polite">
      {list.map((t) => (
        <div key={t.id} class={`toast tone-${t.tone}`} role={t.tone === 'bad' ? 'alert' : undefined}>
          <Icon name={t.tone === 'good' ? 'check' : t.tone === 'bad' ? 'warning' : 'info'} />
          <span>{t.text}</span>
          <IconButton small icon="close" label="Close message" onClick={() => close(t.id)} />
        </div>
      ))}
    </div>
  );
}

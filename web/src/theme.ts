// SPDX-License-Identifier: Apache-2.0
// Dark and light: as the system has it, or as chosen here. public/theme.js does the same before the
// first paint.

import { createStore } from './store';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'holm.theme';

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
}

export const theme = createStore<Theme>(stored());

export function setTheme(next: Theme) {
  theme.set(next);
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch { /* it then holds as long as the page */ }
}

const systemIsDark = window.matchMedia('(prefers-color-scheme: dark)');

export function isDark(): boolean {
  const t = theme.get();
  return t === 'system' ? systemIsDark.matches : t === 'dark';
}

// Called when what is shown changes, for what CSS does not reach (the terminal's colours).
export function onThemeChange(listener: () => void): () => void {
  const end = theme.subscribe(listener);
  systemIsDark.addEventListener('change', listener);
  return () => {
    end();
    systemIsDark.removeEventListener('change', listener);
  };
}

// SPDX-License-Identifier: Apache-2.0
// The command palette, keyboard shortcuts and their help. Pages add commands of their own while they
// are shown (useCommands).

import { useEffect, useLayoutEffect, useId, useMemo, useRef, useState } from 'preact/hooks';

import { vms, type Vm } from './api/native';
import { navigate } from './router';
import { createStore, useStore } from './store';
import { Icon, Kbd, type IconName } from './ui';
import { Dialog } from './ui/dialog';

export interface Command {
  label: string;
  icon?: IconName;
  keys?: string; // "c", or two in a row: "g v"
  hint?: string;
  hidden?: boolean; // a shortcut that the palette does not list
  run: () => void;
}

const groups = createStore<{ name: string; commands: Command[] }[]>([]);
export const paletteOpen = createStore(false);
export const helpOpen = createStore(false);

// The commands live as long as the component; `deps` say when they are others. They are there as
// soon as the page shows what they are about: who types is not slower than a frame.
export function useCommands(name: string, make: () => Command[], deps: unknown[]) {
  useLayoutEffect(() => {
    const group = { name, commands: make() };
    groups.set([...groups.get(), group]);
    return () => groups.set(groups.get().filter((g) => g !== group));
  }, deps);
}

const PAIR_MS = 1200;

function isTyping(target: EventTarget | null): boolean {
  const el = target as HTMLElement | null;
  if (!el?.closest) return false;
  return Boolean(el.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], .term-screen'));
}

// Listens for shortcuts while it is mounted.
export function useShortcuts() {
  const first = useRef<{ key: string; at: number } | undefined>(undefined);
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k' && !(e.target as HTMLElement).closest?.('.term-screen')) {
        e.preventDefault();
        paletteOpen.set(!paletteOpen.get());
        return;
      }
      if (e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target) || document.querySelector('dialog[open]')) return;
      if (e.key === '?') { e.preventDefault(); helpOpen.set(true); return; }
      if (e.key === '/') {
        const box = document.querySelector<HTMLInputElement>('[data-search]');
        if (box) { e.preventDefault(); box.focus(); box.select(); }
        return;
      }
      const pair = first.current && e.timeStamp - first.current.at < PAIR_MS ? `${first.current.key} ${e.key}` : undefined;
      const all = groups.get().flatMap((g) => g.commands);
      const found = (pair && all.find((c) => c.keys === pair)) || all.find((c) => c.keys === e.key);
      first.current = undefined;
      if (found) { e.preventDefault(); found.run(); }
      else if (all.some((c) => c.keys?.startsWith(`${e.key} `))) first.current = { key: e.key, at: e.timeStamp };
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

const MOST_SHOWN = 12;

function matches(text: string, words: string[]): boolean {
  const low = text.toLowerCase();
  return words.every((w) => low.includes(w));
}

function Palette() {
  const [text, setText] = useState(''), [at, setAt] = useState(0);
  const [list, setList] = useState<Vm[]>([]);
  const all = useStore(groups), id = useId();
  useEffect(() => { vms.list().then(setList, () => {}); }, []);
  const close = () => paletteOpen.set(false);

  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const machines = list.map((v): Command => ({
      label: v.name, icon: 'terminal', hint: `${v.status} · ${v.id.slice(0, 8)}`, run: () => navigate(`/vms/${v.id}`),
    }));
    return [...all.flatMap((g) => g.commands).filter((c) => !c.hidden), ...machines]
      .filter((c) => matches(`${c.label} ${c.hint ?? ''}`, words)).slice(0, MOST_SHOWN);
  }, [text, list, all]);
  const chosen = Math.min(at, found.length - 1);

  const run = (c: Command | undefined) => { if (c) { close(); c.run(); } };
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      setAt((chosen + (e.key === 'ArrowDown' ? 1 : -1) + found.length) % Math.max(1, found.length));
    } else if (e.key === 'Enter') {
      e.preventDefault();
      run(found[chosen]);
    }
  };
  return (
    <Dialog title="Go to, or do" onClose={close}>
      <div class="palette">
        <input type="text" role="combobox" aria-expanded="true" aria-controls={id} aria-label="Search commands and VMs"
          aria-activedescendant={found.length ? `${id}-${chosen}` : undefined} placeholder="Search commands and VMs" value={text} autofocus
          spellcheck={false} autocomplete="off" onInput={(e) => { setText(e.currentTarget.value); setAt(0); }} onKeyDown={onKeyDown} />
        <ul id={id} role="listbox" aria-label="Found">
          {found.map((c, i) => (
            <li key={`${c.label}${c.hint}`} id={`${id}-${i}`} role="option" aria-selected={i === chosen}
              onClick={() => run(c)} onPointerMove={() => setAt(i)}>
              {c.icon && <Icon name={c.icon} />}<span class="grow">{c.label}</span>
              {c.hint && <span class="muted">{c.hint}</span>}{c.keys && <Kbd keys={c.keys} />}
            </li>
          ))}
        </ul>
        {found.length === 0 && <p class="muted palette-none">Nothing is called that.</p>}
      </div>
    </Dialog>
  );
}

function Help() {
  const all = useStore(groups);
  return (
    <Dialog title="Keyboard shortcuts" onClose={() => helpOpen.set(false)}>
      <div class="shortcuts">
        {[{ name: 'Everywhere', commands: [
          { label: 'Go to, or do', keys: 'Ctrl K' }, { label: 'Search this page', keys: '/' }, { label: 'This help', keys: '?' },
          { label: 'Walk rows, open one, select one', keys: '↑ ↓ Enter Space' }, { label: 'Close, or cancel', keys: 'Esc' },
        ] }, ...all].map((g) => {
          const listed = g.commands.filter((c) => c.keys);
          return listed.length > 0 && (
            <section key={g.name}>
              <h3>{g.name}</h3>
              <dl>{listed.map((c) => <div key={c.label}><dt>{c.label}</dt><dd><Kbd keys={c.keys!} /></dd></div>)}</dl>
            </section>
          );
        })}
      </div>
    </Dialog>
  );
}

export function CommandLayer() {
  const palette = useStore(paletteOpen), help = useStore(helpOpen);
  return <>{palette && <Palette />}{help && <Help />}</>;
}

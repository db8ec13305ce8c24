// SPDX-License-Identifier: Apache-2.0
// One terminal: xterm.js on one side, the console's WebSocket on the other. A shell that was cut off
// is gone, so it is begun anew only when asked; the serial console is always the same one and comes
// back by itself.

import { FitAddon } from '@xterm/addon-fit';
import { Terminal, type ITheme } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

import { messageOf } from '../api/client';
import { vms } from '../api/native';
import { isDark, onThemeChange } from '../theme';
import { copyText } from '../ui';
import { overlap } from './overlap';

export interface SessionState {
  at: 'connecting' | 'open' | 'ended' | 'lost' | 'log';
  detail?: string;
}

export interface Session {
  connect(): void;
  close(): void;
  shown(): void; // its frame can be seen (again)
  selection(): string;
  paste(text: string): void;
  clear(): void;
}

interface Options {
  frame: HTMLElement;
  vmId: string;
  kind: 'shell' | 'serial' | 'log';
  user?: string;
  label: string;
  onState: (state: SessionState) => void;
  onLeave: () => void;
}

const DARK: ITheme = {
  background: '#0b0f0f', foreground: '#dbe4e4', cursor: '#58cdbc', cursorAccent: '#0b0f0f', selectionBackground: '#2b5e57',
  black: '#28302f', red: '#f48a80', green: '#62cb8a', yellow: '#e5b155', blue: '#7fb4ee', magenta: '#cf9bea', cyan: '#58cdbc', white: '#c8d2d2',
  brightBlack: '#7c8888', brightRed: '#ffb0a8', brightGreen: '#90e2ae', brightYellow: '#f3cd86', brightBlue: '#a9cdf7', brightMagenta: '#e1bdf5', brightCyan: '#8fe0d2', brightWhite: '#f4f8f8',
};

const LIGHT: ITheme = {
  background: '#fbfcfc', foreground: '#1c2525', cursor: '#0b6b5f', cursorAccent: '#fbfcfc', selectionBackground: '#bfe2dc',
  black: '#1c2525', red: '#b3261e', green: '#17703b', yellow: '#855300', blue: '#1f5fa8', magenta: '#8a3fae', cyan: '#0b6b5f', white: '#6b7777',
  brightBlack: '#5f6b6b', brightRed: '#c9352c', brightGreen: '#1f8a4a', brightYellow: '#9a6300', brightBlue: '#2b72c4', brightMagenta: '#a050c6', brightCyan: '#0d8071', brightWhite: '#38433f',
};

const SCROLLBACK = 10_000, RETRY_MS = 2000, CLOSE_NORMAL = 1000;

export function openSession(o: Options): Session {
  const term = new Terminal({
    fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace', fontSize: 13, lineHeight: 1.25,
    cursorBlink: !window.matchMedia('(prefers-reduced-motion: reduce)').matches, scrollback: SCROLLBACK, theme: isDark() ? DARK : LIGHT,
    disableStdin: o.kind === 'log', screenReaderMode: false, minimumContrastRatio: 4.5,
    convertEol: o.kind !== 'shell', // a kernel's lines end in LF where no terminal was between
  });
  const fit = new FitAddon(), encoder = new TextEncoder();
  let socket: WebSocket | undefined, isClosed = false, isOff = false, retry: number | undefined;

  term.loadAddon(fit);
  term.open(o.frame);
  term.textarea?.setAttribute('aria-label', o.label);

  const size = () => JSON.stringify({ type: 'resize', cols: term.cols, rows: term.rows });
  const say = (at: SessionState['at'], detail?: string) => {
    isOff = at === 'ended' || at === 'lost';
    o.onState({ at, detail });
  };
  const refit = () => { if (o.frame.offsetWidth > 0) fit.fit(); };

  term.onData((data) => {
    if (isOff && o.kind === 'shell') {
      if (data === '\r') void connect();
      return;
    }
    if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(data));
  });
  term.onBinary((data) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(Uint8Array.from(data, (c) => c.charCodeAt(0)));
  });
  term.onResize(() => { if (socket?.readyState === WebSocket.OPEN) socket.send(size()); });
  term.attachCustomKeyEventHandler((e) => {
    if (e.type !== 'keydown') return true;
    // The only way out by keyboard: Tab belongs to the shell.
    if (e.key === 'F6') { e.preventDefault(); o.onLeave(); return false; }
    const isCopy = (e.ctrlKey && e.shiftKey && e.code === 'KeyC') || (e.ctrlKey && e.key === 'Insert');
    if (isCopy && term.hasSelection()) { e.preventDefault(); void copyText(term.getSelection()); return false; }
    if (e.ctrlKey && e.shiftKey && e.code === 'KeyV') return false; // the browser pastes
    return true;
  });

  async function connect() {
    window.clearTimeout(retry);
    if (o.kind === 'log') { await showLog(); return; }
    say('connecting');
    try {
      const { token, websocketPath } = await vms.consoleToken(o.vmId, { kind: o.kind === 'shell' ? 'shell' : 'serial', user: o.user });
      if (isClosed) return;
      const at = new URL(websocketPath, window.location.href);
      at.protocol = at.protocol === 'https:' ? 'wss:' : 'ws:';
      at.searchParams.set('session', token);
      listen(new WebSocket(at));
    } catch (e) {
      lost(messageOf(e));
    }
  }

  function listen(next: WebSocket) {
    // Of the serial console the log comes first. What came in meanwhile may be in both.
    let early: Uint8Array[] | undefined = o.kind === 'serial' ? [] : undefined;
    socket = next;
    next.binaryType = 'arraybuffer';
    next.onopen = async () => {
      say('open');
      next.send(size());
      if (!early) return;
      const log = encoder.encode(await vms.console(o.vmId).catch(() => ''));
      term.reset();
      term.write(log);
      const live = joined(early);
      term.write(live.subarray(overlap(log, live)));
      if (log.length + live.length === 0) term.write('\x1b[90m[nothing was said so far]\x1b[0m\r\n');
      early = undefined;
    };
    next.onmessage = (e: MessageEvent<ArrayBuffer | string>) => {
      const data = typeof e.data === 'string' ? encoder.encode(e.data) : new Uint8Array(e.data);
      if (early) early.push(data);
      else term.write(data);
    };
    next.onclose = (e) => {
      if (socket !== next || isClosed) return;
      socket = undefined;
      if (e.code === CLOSE_NORMAL) ended(e.reason || 'closed');
      else lost(e.reason || (e.code === 1001 ? 'the VM does not run any more' : 'the connection was cut'));
    };
  }

  function ended(why: string) {
    say('ended', why);
    term.write(`\r\n\x1b[90m[${why}; Enter starts another shell]\x1b[0m\r\n`);
  }

  function lost(why: string) {
    if (isClosed) return;
    say('lost', why);
    if (o.kind === 'serial') retry = window.setTimeout(() => void connect(), RETRY_MS);
    else term.write(`\r\n\x1b[90m[${why}; Enter begins anew]\x1b[0m\r\n`);
  }

  async function showLog() {
    try {
      term.write(await vms.console(o.vmId));
      say('log');
    } catch (e) {
      say('log', messageOf(e));
    }
  }

  const endTheme = onThemeChange(() => { term.options.theme = isDark() ? DARK : LIGHT; });
  const observer = new ResizeObserver(refit);
  observer.observe(o.frame);
  refit();
  void connect();

  return {
    connect: () => { void connect(); term.focus(); },
    close() {
      isClosed = true;
      window.clearTimeout(retry);
      observer.disconnect();
      endTheme();
      socket?.close(CLOSE_NORMAL);
      term.dispose();
    },
    shown() {
      refit();
      // Not from who walks along the tabs by keyboard: arrow keys would go to the guest.
      if (o.kind === 'shell' && !document.activeElement?.matches('[role=tab]:focus-visible')) term.focus();
    },
    selection: () => term.getSelection(),
    paste(text) { term.paste(text); term.focus(); },
    clear() { term.clear(); term.focus(); },
  };
}

function joined(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

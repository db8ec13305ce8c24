// SPDX-License-Identifier: Apache-2.0
// Output of commands: bytes become text, escape sequences of terminals are taken out, and of very
// long output the end is shown. It is only ever text: nothing a guest prints becomes a part of the
// page.

import { useEffect, useRef } from 'preact/hooks';

import type { ExecEvent } from '../api/native';

const SHOWN_MOST = 400_000;

export interface Chunk {
  stream: 'o' | 'e';
  text: string;
}

// CSI, OSC and two-byte escapes, and what else has no glyph but newline and tab.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

export const plain = (text: string) => text.replace(/\r\n/g, '\n').replace(ESCAPES, '');

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

// Collects events; the chunks of one stream in a row are one.
export class Output {
  chunks: Chunk[] = [];
  dropped = 0; // characters that are not shown any more
  #length = 0;
  #decoders = { o: new TextDecoder(), e: new TextDecoder() };

  add(event: ExecEvent) {
    if (event.t === 'x' || !event.d) return;
    const text = plain(this.#decoders[event.t].decode(bytesOf(event.d), { stream: true }));
    if (!text) return;
    const last = this.chunks[this.chunks.length - 1];
    if (last?.stream === event.t && last.text.length < 16_384) this.chunks[this.chunks.length - 1] = { stream: last.stream, text: last.text + text };
    else this.chunks.push({ stream: event.t, text });
    this.#length += text.length;
    while (this.#length > SHOWN_MOST && this.chunks.length > 1) {
      const gone = this.chunks.shift()!;
      this.#length -= gone.text.length;
      this.dropped += gone.text.length;
    }
  }

  text(): string {
    return this.chunks.map((c) => c.text).join('');
  }
}

// Stays at the end while it is looked at.
export function OutputView({ output, version, label, running }: { output: Output; version: number; label: string; running?: boolean }) {
  const ref = useRef<HTMLPreElement>(null), isAtEnd = useRef(true);
  useEffect(() => {
    const el = ref.current!;
    if (isAtEnd.current) el.scrollTop = el.scrollHeight;
  }, [version]);
  const isEmpty = output.chunks.length === 0;
  return (
    <pre ref={ref} class="output" tabIndex={0} role="log" aria-label={label}
      onScroll={(e) => { const el = e.currentTarget; isAtEnd.current = el.scrollHeight - el.scrollTop - el.clientHeight < 24; }}>
      {output.dropped > 0 && <span class="muted">… {output.dropped} characters before{'\n'}</span>}
      {isEmpty && <span class="muted">{running ? 'No output yet' : 'No output'}</span>}
      {output.chunks.map((c, i) => (c.stream === 'e' ? <span key={i} class="stderr">{c.text}</span> : c.text))}
    </pre>
  );
}

// Calls `draw` at most once a frame however often it is asked.
export function onFrame(draw: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => { isAsked = false; draw(); });
  };
}

// SPDX-License-Identifier: Apache-2.0
// Commands in a VM, with their output as it comes.

import { useEffect, useReducer, useRef, useState } from 'preact/hooks';

import { messageOf, ndjson, wasAborted } from '../api/client';
import { vms, type ExecBody, type ExecEvent } from '../api/native';
import { clock, millis } from '../format';
import type { TabProps } from '../pages/vm';
import { Badge, Button, Copy, Empty, Icon, IconButton, Spinner, TextField, toast } from '../ui';
import { navigate } from '../router';
import { Output, OutputView, onFrame } from './output';

interface Run {
  key: number;
  command: string;
  body: ExecBody;
  startedAt: number;
  output: Output;
  version: number;
  abort: AbortController;
  end?: { code: number; ms?: number; timedOut?: boolean };
  problem?: string;
}

const KEPT_RUNS = 30, KEPT_HISTORY = 100;
let nextKey = 1;

const historyKey = (id: string) => `holm.history.${id}`;

function loadHistory(id: string): string[] {
  try {
    const list: unknown = JSON.parse(sessionStorage.getItem(historyKey(id)) ?? '[]');
    return Array.isArray(list) ? list.filter((l) => typeof l === 'string') : [];
  } catch {
    return [];
  }
}

export function CommandTab({ vm }: TabProps) {
  const [text, setText] = useState(''), [user, setUser] = useState(''), [cwd, setCwd] = useState(''), [timeout, setTimeoutText] = useState('');
  const [history, setHistory] = useState(() => loadHistory(vm.id)), [place, setPlace] = useState(-1);
  const [runs, setRuns] = useState<Run[]>([]), [, redraw] = useReducer((n: number) => n + 1, 0);
  const [draft, setDraft] = useState(''), [error, setError] = useState<string>();
  const box = useRef<HTMLTextAreaElement>(null), isGone = useRef(false);
  const isUp = vm.status === 'running';

  // A command ends with the page that runs it, as the daemon ends it when its client goes away.
  useEffect(() => () => {
    isGone.current = true;
    setRuns((all) => { for (const r of all) r.abort.abort(); return all; });
  }, []);

  const remember = (command: string) => {
    const next = [command, ...history.filter((h) => h !== command)].slice(0, KEPT_HISTORY);
    setHistory(next);
    setPlace(-1);
    try { sessionStorage.setItem(historyKey(vm.id), JSON.stringify(next)); } catch { /* full, or shut off */ }
  };

  const bodyOf = (command: string): ExecBody | undefined => {
    const seconds = timeout.trim() ? Number(timeout) : undefined;
    if (seconds !== undefined && !(seconds > 0)) { setError('The timeout is a number of seconds, or nothing.'); return undefined; }
    setError(undefined);
    return { command: ['sh', '-c', command], user: user.trim() || undefined, cwd: cwd.trim() || undefined, timeoutSec: seconds };
  };

  const follow = async (run: Run) => {
    const draw = onFrame(() => { if (!isGone.current) redraw(0); });
    try {
      for await (const event of ndjson<ExecEvent>(await vms.exec(vm.id, run.body, run.abort.signal))) {
        if (event.t === 'x') run.end = { code: event.c ?? 0, ms: event.ms, timedOut: event.to };
        if (event.t === 'x' && event.d) run.problem = atob(event.d);
        run.output.add(event);
        run.version++;
        draw();
      }
      run.problem ??= run.end ? undefined : 'the connection was cut';
    } catch (e) {
      run.problem = wasAborted(e) ? 'cancelled' : messageOf(e);
    }
    run.version++;
    draw();
  };

  const start = (command: string) => {
    const body = command.trim() ? bodyOf(command) : undefined;
    if (!body) return;
    const run: Run = { key: nextKey++, command, body, startedAt: Date.now(), output: new Output(), version: 0, abort: new AbortController() };
    setRuns((all) => [run, ...all].slice(0, KEPT_RUNS));
    remember(command);
    setText('');
    void follow(run);
  };

  const startJob = async () => {
    const body = text.trim() ? bodyOf(text) : undefined;
    if (!body) return;
    try {
      await vms.runInBackground(vm.id, body);
      remember(text);
      setText('');
      toast.done('It runs in the background: see Jobs');
      navigate(`/vms/${vm.id}/jobs`, { replace: true });
    } catch (e) { toast.error(e); }
  };

  const recall = (next: number) => {
    if (place < 0) setDraft(text);
    const to = Math.max(-1, Math.min(history.length - 1, next));
    setPlace(to);
    setText(to < 0 ? draft : history[to]);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const el = box.current!, isOneLine = !text.includes('\n');
    if (e.key === 'Enter' && !e.shiftKey) { e.preventDefault(); start(text); }
    else if (e.key === 'ArrowUp' && (isOneLine || el.selectionStart === 0) && history.length) { e.preventDefault(); recall(place + 1); }
    else if (e.key === 'ArrowDown' && place >= 0 && (isOneLine || el.selectionStart === text.length)) { e.preventDefault(); recall(place - 1); }
  };

  return (
    <div class="stack">
      <form class="command-box" onSubmit={(e) => { e.preventDefault(); start(text); }}>
        <div class="command-line">
          <span class="prompt mono" aria-hidden="true">{user.trim() && user.trim() !== 'root' ? '$' : '#'}</span>
          <textarea ref={box} rows={Math.min(8, text.split('\n').length)} value={text} aria-label="Command" placeholder="A shell command"
            spellcheck={false} autocapitalize="off" disabled={!isUp} onInput={(e) => { setText(e.currentTarget.value); setPlace(-1); }} onKeyDown={onKeyDown} />
          <Button type="submit" variant="primary" disabled={!isUp || !text.trim()}>Run</Button>
          <Button disabled={!isUp || !text.trim()} onClick={startJob} title="It goes on when this page is closed">In background</Button>
        </div>
        <p class="hint">Enter runs it, Shift+Enter makes another line, ↑ brings former ones.</p>
        <div class="form-grid command-options">
          <TextField label="User" value={user} onInput={setUser} placeholder="root" />
          <TextField label="Directory" value={cwd} onInput={setCwd} placeholder="the user’s home" />
          <TextField label="Timeout, seconds" value={timeout} onInput={setTimeoutText} placeholder="none" inputMode="decimal" error={error} />
        </div>
      </form>
      {!isUp && <p class="muted">Commands need a running VM; this one is {vm.status}.</p>}
      {isUp && runs.length === 0 && <Empty icon="terminal" title="Nothing was run yet">Output appears here while a command runs. It ends when this page is closed; in the background it goes on.</Empty>}
      {runs.map((run) => <RunView key={run.key} run={run} onAgain={() => start(run.command)} onEdit={() => { setText(run.command); box.current?.focus(); }}
        onClose={() => { run.abort.abort(); setRuns((all) => all.filter((r) => r !== run)); }} />)}
    </div>
  );
}

function RunView({ run, onAgain, onEdit, onClose }: { run: Run; onAgain: () => void; onEdit: () => void; onClose: () => void }) {
  const isRunning = !run.end && !run.problem;
  return (
    <article class="panel run" aria-label={`Command: ${run.command}`}>
      <div class="run-head">
        <code class="run-command">{run.command}</code>
        <span class="row nowrap">
          {isRunning ? <span class="row muted"><Spinner />running</span>
            : run.end ? <Badge tone={run.end.code === 0 ? 'good' : 'bad'}>{run.end.timedOut ? 'timed out' : `exit ${run.end.code}`}</Badge>
            : <Badge tone={run.problem === 'cancelled' ? 'neutral' : 'bad'}>{run.problem === 'cancelled' ? 'cancelled' : 'failed'}</Badge>}
          {run.end?.ms !== undefined && <span class="muted num">{millis(run.end.ms)}</span>}
          <span class="muted num run-time">{clock(run.startedAt)}</span>
          {isRunning ? <Button small icon="stop" onClick={() => run.abort.abort()}>Cancel</Button>
            : <><IconButton small icon="edit" label="Edit" onClick={onEdit} /><IconButton small icon="refresh" label="Run again" onClick={onAgain} /></>}
          <Copy text={run.output.text()} label="Copy output" />
          {!isRunning && <IconButton small icon="close" label="Remove" onClick={onClose} />}
        </span>
      </div>
      {run.problem && run.problem !== 'cancelled' && <p class="run-problem"><Icon name="warning" size={14} /> {run.problem}</p>}
      <OutputView output={run.output} version={run.version} label={`Output of ${run.command}`} running={isRunning} />
    </article>
  );
}

// SPDX-License-Identifier: Apache-2.0
// Terminals in a VM, several side by side, and its serial console. xterm.js is a chunk of its own
// that loads with the first of them.

import { useEffect, useRef, useState } from 'preact/hooks';

import { messageOf } from '../api/client';
import { vms } from '../api/native';
import type { TabProps } from '../pages/vm';
import { Button, Empty, IconButton, Loading, Note, TextField, copyText, toast } from '../ui';
import type { Session, SessionState } from './session';

interface Opened {
  key: number;
  name: string;
  user?: string;
}

let nextKey = 1;

export function TerminalTab({ vm }: TabProps) {
  const [list, setList] = useState<Opened[]>([]), [active, setActive] = useState(0);
  const [user, setUser] = useState('');
  const isUp = vm.status === 'running';

  const open = () => {
    const key = nextKey++;
    setList((l) => [...l, { key, name: `Shell ${l.length ? Math.max(...l.map((t) => Number(t.name.slice(6)))) + 1 : 1}`, user: user.trim() || undefined }]);
    setActive(key);
  };
  useEffect(() => { if (isUp && list.length === 0) open(); }, [isUp]);
  const close = (key: number) => {
    const rest = list.filter((t) => t.key !== key);
    setList(rest);
    if (key === active) setActive(rest.length ? rest[rest.length - 1].key : 0);
  };

  if (!isUp && list.length === 0)
    return <Empty icon="terminal" title={`A terminal needs a running VM`}>This one is {vm.status}.</Empty>;
  return (
    <div class="terminals">
      <div class="terminal-bar">
        <div class="terminal-tabs" role="group" aria-label="Terminals">
          {list.map((t) => (
            <span key={t.key} class={t.key === active ? 'is-active' : ''}>
              <button type="button" aria-pressed={t.key === active} onClick={() => setActive(t.key)}>{t.name}{t.user && <span class="muted"> {t.user}</span>}</button>
              <IconButton small icon="close" label={`Close ${t.name}`} onClick={() => close(t.key)} />
            </span>
          ))}
        </div>
        <form class="terminal-new" onSubmit={(e) => { e.preventDefault(); open(); }}>
          <TextField label="User" value={user} onInput={setUser} placeholder="root" />
          <Button small type="submit" icon="plus" disabled={!isUp}>New</Button>
        </form>
      </div>
      {list.length === 0 && <Empty icon="terminal" title="No terminal is open" actions={<Button icon="plus" onClick={open}>New terminal</Button>} />}
      {list.map((t) => <Screen key={t.key} vmId={vm.id} kind="shell" user={t.user} hidden={t.key !== active} label={`${t.name} in ${vm.name}`} />)}
    </div>
  );
}

export function SerialTab({ vm }: TabProps) {
  const isUp = ['running', 'paused', 'provisioning', 'stopping', 'pausing', 'resuming'].includes(vm.status);
  const save = async () => {
    try {
      const text = await vms.console(vm.id), link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
      link.download = `${vm.name}-console.log`;
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (e) { toast.error(e); }
  };
  return (
    <div class="terminals">
      <div class="terminal-bar">
        <p class="muted grow">{isUp ? 'What the kernel and its init say. Keys go to the guest, as on a console beside the machine.' : `The VM is ${vm.status}: this is the log of its last run.`}</p>
        <Button small icon="download" onClick={save}>Download log</Button>
      </div>
      <Screen key={isUp ? 'live' : 'log'} vmId={vm.id} kind={isUp ? 'serial' : 'log'} hidden={false} label={`Serial console of ${vm.name}`} />
    </div>
  );
}

const WORDS: Record<SessionState['at'], string> = {
  connecting: 'Connecting…', open: 'Connected', ended: 'Ended', lost: 'Connection lost', log: 'Log',
};

function Screen({ vmId, kind, user, hidden, label }: {
  vmId: string; kind: 'shell' | 'serial' | 'log'; user?: string; hidden: boolean; label: string;
}) {
  const frame = useRef<HTMLDivElement>(null), bar = useRef<HTMLDivElement>(null), session = useRef<Session | undefined>(undefined);
  const [state, setState] = useState<SessionState>({ at: 'connecting' }), [loaded, setLoaded] = useState(false), [failed, setFailed] = useState<string>();

  useEffect(() => {
    let isOver = false;
    import('./session').then(({ openSession }) => {
      if (isOver) return;
      setLoaded(true);
      session.current = openSession({
        frame: frame.current!, vmId, kind, user, label, onState: setState,
        onLeave: () => bar.current?.querySelector<HTMLElement>('button')?.focus(),
      });
    }, (e) => setFailed(messageOf(e)));
    return () => { isOver = true; session.current?.close(); };
  }, [vmId, kind, user]);
  useEffect(() => { if (!hidden && loaded) session.current?.shown(); }, [hidden, loaded]);

  const copy = async () => {
    const text = session.current?.selection() ?? '';
    if (!text) toast.info('Select some text first');
    else if (await copyText(text)) toast.done('Copied');
  };
  const paste = async () => {
    try {
      session.current?.paste(await navigator.clipboard.readText());
    } catch {
      toast.info('The browser does not let a page read the clipboard here: press Ctrl+Shift+V in the terminal');
    }
  };
  const isOff = state.at === 'ended' || state.at === 'lost';
  return (
    <div class="term" hidden={hidden}>
      {failed && <Note tone="bad">The terminal could not be loaded: {failed}</Note>}
      <div class="term-screen" ref={frame} data-state={state.at}>{!loaded && !failed && <Loading />}</div>
      <div class="terminal-foot" ref={bar}>
        <span role="status" class={isOff ? 'is-off' : ''}>{WORDS[state.at]}{state.detail ? `: ${state.detail}` : ''}</span>
        {isOff && <Button small icon="refresh" onClick={() => session.current?.connect()}>{state.at === 'ended' ? 'Start again' : 'Reconnect'}</Button>}
        <span class="grow" />
        <span class="muted terminal-hint">F6 leaves the terminal</span>
        <Button small variant="ghost" icon="copy" onClick={copy}>Copy</Button>
        {kind !== 'log' && <Button small variant="ghost" onClick={paste}>Paste</Button>}
        <Button small variant="ghost" onClick={() => session.current?.clear()}>Clear</Button>
      </div>
    </div>
  );
}

// SPDX-License-Identifier: Apache-2.0
// A VM's facts, what it uses, its time limits, and what was made from it.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { ApiError, messageOf } from '../api/client';
import { machineTypes, snapshots, vms, type Timer, type Vm } from '../api/native';
import { useQuery } from '../api/query';
import { TimeChart } from '../charts';
import { bytes, dateTime, duration, mib } from '../format';
import type { TabProps } from '../pages/vm';
import { Link } from '../router';
import { egressWords, ingressWords } from '../policy';
import { Age, Button, Copy, Dialog, Facts, Id, Note, Panel, Select, TextArea, TextField, toast, useNow } from '../ui';
import { useUsage } from '../usage';
import { isPassing } from '../vm-status';

const USAGE_EVERY_MS = 2000;

export function OverviewTab({ vm, query }: TabProps) {
  const isUp = vm.status === 'running' || vm.status === 'paused';
  const usage = useUsage(isUp ? [vm.id] : [], USAGE_EVERY_MS).get(vm.id);
  return (
    <div class="stack">
      {isUp && (
        <div class="grid charts">
          <Panel><TimeChart title="CPU" max={vm.cpu} format={(v) => v.toFixed(v < 10 ? 2 : 1)} series={[{ name: 'vCPUs', points: usage?.cpu ?? [] }]} /></Panel>
          <Panel><TimeChart title="Memory on the host" base={1024} format={bytes} series={[{ name: 'Memory', points: usage?.memory ?? [] }]} /></Panel>
          <Panel><TimeChart title="Disk" base={1024} format={(v) => `${bytes(v)}/s`} series={[{ name: 'Disk', points: usage?.disk ?? [] }]} /></Panel>
          <Panel><TimeChart title="Network" base={1024} format={(v) => `${bytes(v)}/s`}
            series={[{ name: 'in', points: usage?.received ?? [] }, { name: 'out', points: usage?.sent ?? [] }]} /></Panel>
        </div>
      )}
      {!isUp && !isPassing(vm.status) && <Note>It is {vm.status}: what it uses is shown while it runs.</Note>}
      <div class="grid">
        <Machine vm={vm} reload={query.reload} used={usage?.last.diskBytes} privateBytes={usage?.last.privateMemoryBytes} address={usage?.last.hostAddress} />
        <div class="stack">
          <Timers vm={vm} reload={query.reload} />
          <Lineage vm={vm} />
        </div>
        <div class="stack">
          <Pairs title="Environment" pairs={vm.envVars} none="No variables were set at its launch." />
          <Pairs title="Metadata" pairs={vm.metadata} none="None." actions={<EditMetadata vm={vm} reload={query.reload} />} />
        </div>
      </div>
    </div>
  );
}

function Machine({ vm, reload, used, privateBytes, address }: {
  vm: Vm; reload: () => void; used?: number; privateBytes?: number; address?: string;
}) {
  const [open, setOpen] = useState(false);
  return (
    <Panel title="Machine" actions={<Button small onClick={() => setOpen(true)}>Resize…</Button>}>
      <Facts items={[
        ['Id', <Id id={vm.id} full />],
        ['Machine type', <span class="mono">{vm.machineName}</span>],
        vm.nextMachineType ? ['From next start', <span class="mono">{vm.nextMachineType}</span>] : null,
        ['CPU', `${vm.cpu} vCPU`],
        ['Memory', <>{mib(vm.memoryMiB)}{privateBytes !== undefined && <span class="muted"> ({bytes(privateBytes)} of its own)</span>}</>],
        ['Disk', <>{bytes(vm.diskGiB * 1024 ** 3)}{used !== undefined && <span class="muted"> ({bytes(used)} on the host)</span>}</>],
        ['Image', <span class="mono">{vm.image ?? vm.sourceName ?? '–'}</span>],
        ['Created', dateTime(vm.createdAt)],
        ['Outbound', egressWords(vm.effectiveFirewall)],
        ['Inbound', ingressWords(vm.effectiveFirewall)],
        address ? ['Host address', <span class="id"><code>{address}</code><Copy text={address} label="Copy address" /></span>] : null,
      ]} />
      {open && <ResizeDialog vm={vm} reload={reload} onClose={() => setOpen(false)} />}
    </Panel>
  );
}

function ResizeDialog({ vm, reload, onClose }: { vm: Vm; reload: () => void; onClose: () => void }) {
  const types = useQuery('machine-types', machineTypes);
  const [type, setType] = useState(vm.nextMachineType ?? vm.machineName), [disk, setDisk] = useState(String(vm.diskGiB));
  const [busy, setBusy] = useState(false), [error, setError] = useState<{ field?: string; message: string }>();
  const options = [...(types.data ?? []).map((m) => ({ value: m.name, label: `${m.name}: ${m.cpu} vCPU, ${mib(m.memoryMiB)}` }))];
  if (!options.some((o) => o.value === type)) options.unshift({ value: type, label: type });
  const submit = async () => {
    if (busy) return;
    const body: { diskGiB?: number; machineType?: string } = {};
    if (Number(disk) !== vm.diskGiB) body.diskGiB = Number(disk);
    if (type !== (vm.nextMachineType ?? vm.machineName)) body.machineType = type;
    if (body.diskGiB !== undefined && !(body.diskGiB > vm.diskGiB)) { setError({ field: 'diskGiB', message: `A disk only grows: more than ${vm.diskGiB}.` }); return; }
    if (Object.keys(body).length === 0) { onClose(); return; }
    setBusy(true);
    try {
      await vms.resize(vm.id, body);
      toast.done(body.machineType ? 'The machine type counts from the next start' : 'The disk has grown');
      reload();
      onClose();
    } catch (e) {
      setError({ field: e instanceof ApiError ? e.field : undefined, message: messageOf(e) });
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Resize ${vm.name}`} onClose={onClose} onSubmit={submit} footer={<>
      <Button onClick={onClose}>Cancel</Button><Button type="submit" variant="primary" busy={busy}>Resize</Button>
    </>}>
      <Select label="Machine type" value={type} options={options} onInput={setType} hint="Counts from the next start." error={error?.field === 'machineType' ? error.message : undefined} />
      <TextField label="Disk, GiB" value={disk} onInput={setDisk} inputMode="decimal" hint="Grows at once, while it runs." error={error?.field === 'diskGiB' ? error.message : undefined} />
      {error && error.field !== 'machineType' && error.field !== 'diskGiB' && <p class="field-error" role="alert">{error.message}</p>}
    </Dialog>
  );
}

function Timers({ vm, reload }: { vm: Vm; reload: () => void }) {
  const now = useNow(1000);
  const [editing, setEditing] = useState(false);
  const left = vm.expiresAtMs ? Math.max(0, (vm.expiresAtMs - now) / 1000) : vm.ttlRemainingMs !== undefined ? vm.ttlRemainingMs / 1000 : undefined;
  const refresh = async () => {
    try {
      await vms.refreshTtl(vm.id);
      toast.done('The time begins anew');
      reload();
    } catch (e) { toast.error(e); }
  };
  return (
    <Panel title="Time limits" actions={<>
      {vm.ttl && vm.status === 'running' && <Button small icon="refresh" onClick={refresh}>Begin anew</Button>}
      <Button small onClick={() => setEditing(true)}>Change…</Button>
    </>}>
      <Facts items={[
        ['Runs for', vm.ttl ? <>{duration(vm.ttl.seconds)}, then {vm.ttl.action}{left !== undefined && <span class="muted"> ({duration(left)} left)</span>}</> : <span class="muted">no limit</span>],
        ['Idles for', vm.idle ? <>{duration(vm.idle.seconds)}, then {vm.idle.action}{vm.idleForMs !== undefined && <span class="muted"> (idle for {duration(vm.idleForMs / 1000)})</span>}</> : <span class="muted">no limit</span>],
      ]} />
      {editing && <TimersDialog vm={vm} reload={reload} onClose={() => setEditing(false)} />}
    </Panel>
  );
}

const ACTIONS = ['suspend', 'pause', 'stop', 'delete'].map((a) => ({ value: a, label: a }));

function TimersDialog({ vm, reload, onClose }: { vm: Vm; reload: () => void; onClose: () => void }) {
  const [ttl, setTtl] = useState(vm.ttl ? String(vm.ttl.seconds) : ''), [ttlAction, setTtlAction] = useState<string>(vm.ttl?.action ?? 'delete');
  const [idle, setIdle] = useState(vm.idle ? String(vm.idle.seconds) : ''), [idleAction, setIdleAction] = useState<string>(vm.idle?.action ?? 'suspend');
  const [busy, setBusy] = useState(false), [error, setError] = useState<string>();
  const timer = (text: string, action: string) => (text.trim() ? { seconds: Number(text), action: action as Timer['action'] } : null);
  const submit = async () => {
    if (busy) return;
    for (const text of [ttl, idle])
      if (text.trim() && !(Number(text) > 0)) { setError('Seconds are a number above 0, or nothing.'); return; }
    setBusy(true);
    try {
      await vms.update(vm.id, { ttl: timer(ttl, ttlAction), idle: timer(idle, idleAction) });
      reload();
      onClose();
    } catch (e) {
      setError(messageOf(e));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Time limits" onClose={onClose} onSubmit={submit} footer={<>
      <Button onClick={onClose}>Cancel</Button><Button type="submit" variant="primary" busy={busy}>Save</Button>
    </>}>
      <div class="form-grid">
        <TextField label="Runs for, seconds" value={ttl} onInput={setTtl} inputMode="numeric" placeholder="no limit" autofocus />
        <Select label="Then" value={ttlAction} onInput={setTtlAction} options={ACTIONS} />
        <TextField label="Idles for, seconds" value={idle} onInput={setIdle} inputMode="numeric" placeholder="no limit" />
        <Select label="Then" value={idleAction} onInput={setIdleAction} options={ACTIONS} />
      </div>
      <p class="hint">A pause holds the first one still. Idle is no CPU, disk or network beyond an idle system’s, and no command or terminal.</p>
      {error && <p class="field-error" role="alert">{error}</p>}
    </Dialog>
  );
}

function Lineage({ vm }: { vm: Vm }) {
  const family = useQuery(`family ${vm.id}`, async (signal) => {
    const [all, snaps] = await Promise.all([vms.list(signal), snapshots.list(signal)]);
    return {
      source: all.find((v) => v.id === vm.forkedFrom), from: snaps.find((s) => s.id === vm.snapshotId),
      forks: all.filter((v) => v.forkedFrom === vm.id), snapshots: snaps.filter((s) => s.vmId === vm.id),
    };
  }, { everyMs: 10_000, onEvent: (e) => /^(vm\.(forked|deleted|created)|snapshot\.)/.test(e.type) });
  const f = family.data;
  const list = (items: { id: string; name: string }[], href: (id: string) => string) => items.length
    ? <ul class="inline-list">{items.map((i) => <li key={i.id}><Link href={href(i.id)}>{i.name}</Link></li>)}</ul> : <span class="muted">none</span>;
  return (
    <Panel title="Lineage">
      <Facts items={[
        ['Made from', vm.forkedFrom ? <>fork of {f?.source ? <Link href={`/vms/${f.source.id}`}>{f.source.name}</Link> : <code>{vm.forkedFrom.slice(0, 8)}</code>}</>
          : vm.snapshotId ? <>snapshot {f?.from ? <Link href={`/snapshots?id=${f.from.id}`}>{f.from.name}</Link> : <code>{vm.snapshotId.slice(0, 8)}</code>}</>
          : <>image <span class="mono">{vm.image ?? vm.sourceName ?? '–'}</span></>],
        ['Forks', f ? list(f.forks, (id) => `/vms/${id}`) : '…'],
        ['Snapshots', f ? <>{f.snapshots.length ? <ul class="inline-list">{f.snapshots.map((s) => (
          <li key={s.id}><Link href={`/snapshots?id=${s.id}`}>{s.name}</Link> <span class="muted"><Age time={s.createdAt} /></span></li>))}</ul> : <span class="muted">none</span>}</> : '…'],
      ]} />
    </Panel>
  );
}

function Pairs({ title, pairs, none, actions }: { title: string; pairs: Record<string, string>; none: string; actions?: ComponentChildren }) {
  const entries = Object.entries(pairs);
  return (
    <Panel title={title} actions={actions}>
      {entries.length === 0 ? <p class="muted">{none}</p>
        : <dl class="pairs">{entries.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>}
    </Panel>
  );
}

function EditMetadata({ vm, reload }: { vm: Vm; reload: () => void }) {
  const [text, setText] = useState<string>(), [error, setError] = useState<string>(), [busy, setBusy] = useState(false);
  const close = () => setText(undefined);
  const submit = async () => {
    const metadata: Record<string, string> = {};
    for (const line of text!.split('\n').filter((l) => l.trim())) {
      const at = line.indexOf('=');
      if (at < 1) { setError(`key=value in each line, not “${line.trim()}”.`); return; }
      metadata[line.slice(0, at).trim()] = line.slice(at + 1);
    }
    setBusy(true);
    try {
      await vms.update(vm.id, { metadata });
      reload();
      close();
    } catch (e) { setError(messageOf(e)); }
    setBusy(false);
  };
  return (
    <>
      <Button small onClick={() => { setError(undefined); setText(Object.entries(vm.metadata).map(([k, v]) => `${k}=${v}`).join('\n')); }}>Edit…</Button>
      {text !== undefined && (
        <Dialog title="Metadata" onClose={close} onSubmit={submit} footer={<><Button onClick={close}>Cancel</Button><Button type="submit" variant="primary" busy={busy}>Save</Button></>}>
          <TextArea label="One key=value a line" rows={8} value={text} onInput={setText} error={error} />
        </Dialog>
      )}
    </>
  );
}

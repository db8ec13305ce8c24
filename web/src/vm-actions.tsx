// SPDX-License-Identifier: Apache-2.0
// What can be done with a VM, for its row, its page and the selection of many.

import { useState } from 'preact/hooks';

import { messageOf } from './api/client';
import { snapshots, vms, type Vm } from './api/native';
import { millis, plural } from './format';
import { navigate } from './router';
import { Button, Check, Dialog, TextField, confirm, prompt, toast, type MenuItem } from './ui';
import { createStore, useStore } from './store';
import { may, type Move } from './vm-status';

// Called when something has changed, so that lists are loaded again.
export type Changed = () => void;

type Simple = 'start' | 'resume' | 'pause' | 'suspend' | 'stop';

const DONE: Record<Simple, string> = {
  start: 'started', resume: 'resumed', pause: 'paused', suspend: 'suspended', stop: 'stopped',
};

const run = (move: Simple, id: string) => (move === 'stop' ? vms.stop(id) : vms.move(id, move));

export async function moveVms(list: Vm[], move: Simple, changed: Changed) {
  const todo = list.filter((v) => may(move, v.status));
  const asked = Promise.allSettled(todo.map((v) => run(move, v.id)));
  // The transitional state is worth seeing.
  window.setTimeout(changed, 50);
  const results = await asked;
  const failed = results.flatMap((r, i) => (r.status === 'rejected' ? [`${todo[i].name}: ${messageOf(r.reason)}`] : []));
  const done = todo.length - failed.length;
  if (done === 1 && todo.length === 1) toast.done(`${todo[0].name} ${DONE[move]}`);
  else if (done > 0) toast.done(`${plural(done, 'VM')} ${DONE[move]}`);
  if (failed.length) toast.error(failed.join('\n'));
  changed();
}

export async function deleteVms(list: Vm[], changed: Changed): Promise<boolean> {
  const one = list.length === 1;
  const done = await confirm({
    title: one ? `Delete ${list[0].name}?` : `Delete ${list.length} VMs?`,
    text: <>
      {one ? 'The VM ends, and its disk is removed. ' : 'They end, and their disks are removed. '}
      Snapshots stay. This cannot be undone.
      {!one && <ul class="name-list">{list.map((v) => <li key={v.id}>{v.name}</li>)}</ul>}
    </>,
    action: one ? 'Delete' : `Delete ${list.length} VMs`,
    danger: true,
    run: async () => {
      const results = await Promise.allSettled(list.map((v) => vms.remove(v.id)));
      const failed = results.flatMap((r, i) => (r.status === 'rejected' ? [`${list[i].name}: ${messageOf(r.reason)}`] : []));
      changed();
      if (failed.length) throw new Error(failed.join('\n'));
    },
  });
  if (done) toast.done(one ? `${list[0].name} deleted` : `${list.length} VMs deleted`);
  return done;
}

export function renameVm(vm: Vm, changed: Changed) {
  return prompt({
    title: `Rename ${vm.name}`, action: 'Rename', field: { label: 'Name', value: vm.name, hint: 'Up to 64 characters.' },
    run: async (name) => {
      if (!name.trim()) throw new Error('A name is needed.');
      await vms.update(vm.id, { name });
      changed();
    },
  });
}

export async function snapshotVm(vm: Vm, changed: Changed) {
  let pauseMs = 0;
  const name = await prompt({
    title: `Snapshot of ${vm.name}`, action: 'Take snapshot',
    text: 'Memory, disk and running programs as they are now. The VM goes on.',
    field: { label: 'Name', value: '', hint: 'Empty: one is made.' },
    run: async (value) => {
      pauseMs = (await snapshots.create(vm.id, value.trim() || undefined)).pauseMs;
      changed();
    },
  });
  if (name !== null) toast.done(`Snapshot taken; ${vm.name} stood still for ${millis(pauseMs)}`);
}

async function turnOff(vm: Vm, changed: Changed) {
  const yes = await confirm({
    title: `Turn ${vm.name} off?`, text: 'As if its power were cut: programs cannot save anything. The disk stays.',
    action: 'Turn off', danger: true, run: async () => { await vms.stop(vm.id, true); changed(); },
  });
  if (yes) toast.done(`${vm.name} is off`);
}

// --- Fork: a dialog of its own ---

const forking = createStore<{ vm: Vm; changed: Changed } | null>(null);

export const forkVm = (vm: Vm, changed: Changed) => forking.set({ vm, changed });

function ForkDialog({ vm, changed }: { vm: Vm; changed: Changed }) {
  const [count, setCount] = useState('1'), [name, setName] = useState(`${vm.name}-fork`), [open, setOpen] = useState(true);
  const [busy, setBusy] = useState(false), [error, setError] = useState<string>();
  const close = () => forking.set(null);
  const submit = async () => {
    if (busy) return;
    const n = Number(count);
    if (!Number.isInteger(n) || n < 1) { setError('A whole number from 1 on.'); return; }
    setBusy(true);
    setError(undefined);
    try {
      const made = await vms.fork(vm.id, { count: n, name: name.trim() || undefined });
      const slowest = Math.max(...made.forks.map((f) => f.readyMs));
      toast.done(`${plural(n, 'copy', 'copies')} of ${vm.name} ready in ${millis(slowest)}; it stood still for ${millis(made.pauseMs)}`);
      changed();
      close();
      if (open && n === 1) navigate(`/vms/${made.forks[0].id}`);
    } catch (e) {
      setError(messageOf(e));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Fork ${vm.name}`} onClose={close} onSubmit={submit} footer={<>
      <Button onClick={close}>Cancel</Button>
      <Button type="submit" variant="primary" busy={busy}>Fork</Button>
    </>}>
      <p class="dialog-text">Each copy goes on from where this VM is now: memory, disk and all programs, with an id and a network of its own.</p>
      <div class="form-grid">
        <TextField label="Copies" type="number" min={1} inputMode="numeric" value={count} onInput={setCount} error={error} autofocus />
        <TextField label="Name" value={name} onInput={setName} hint={Number(count) > 1 ? 'With -1, -2, … behind it.' : undefined} />
      </div>
      {Number(count) === 1 && <Check label="Open it" checked={open} onInput={setOpen} />}
    </Dialog>
  );
}

export function VmDialogs() {
  const fork = useStore(forking);
  return fork && <ForkDialog key={fork.vm.id} {...fork} />;
}

// --- The menu of one VM ---

export function vmMenu(vm: Vm, changed: Changed, { onDeleted }: { onDeleted?: () => void } = {}): (MenuItem | false)[] {
  const ok = (m: Move) => may(m, vm.status);
  const item = (move: Simple, label: string, icon: MenuItem['icon']): MenuItem | false =>
    ok(move) && { label, icon, onSelect: () => void moveVms([vm], move, changed) };
  return [
    item('start', 'Start', 'play'),
    item('resume', 'Resume', 'play'),
    item('pause', 'Pause', 'pause'),
    item('suspend', 'Suspend to disk', 'suspend'),
    item('stop', 'Stop', 'stop'),
    ok('stop') && { label: 'Turn off', icon: 'stop', onSelect: () => void turnOff(vm, changed) },
    ok('fork') && { label: 'Fork…', icon: 'fork', separated: true, onSelect: () => forkVm(vm, changed) },
    ok('snapshot') && { label: 'Snapshot…', icon: 'camera', onSelect: () => void snapshotVm(vm, changed) },
    { label: 'Rename…', icon: 'edit', separated: true, onSelect: () => void renameVm(vm, changed) },
    ok('delete') && {
      label: 'Delete…', icon: 'trash', danger: true,
      onSelect: async () => { if (await deleteVms([vm], changed)) onDeleted?.(); },
    },
  ];
}

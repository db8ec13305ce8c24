// SPDX-License-Identifier: Apache-2.0
// The dialog that launches a VM.

import { useState } from 'preact/hooks';

import { ApiError, messageOf } from '../api/client';
import { images, machineTypes, snapshots, vms, type LaunchBody, type Timer } from '../api/native';
import { useQuery } from '../api/query';
import { mib } from '../format';
import { firewallOf, linesOf, ruleFor, ruleProblem, type Preset } from '../policy';
import { navigate } from '../router';
import { Button, Dialog, ErrorBox, Icon, Loading, Segmented, Select, TextArea, TextField, toast, type Option } from '../ui';

const UNITS: Record<string, number> = { minutes: 60, hours: 3600, days: 86400 };
const CUSTOM = 'custom';
const ACTIONS = ['suspend', 'pause', 'stop', 'delete'] as const;

interface TimerInput {
  value: string;
  unit: string;
  action: Timer['action'];
}

interface Input {
  from: 'image' | 'snapshot';
  image: string;
  snapshotId: string;
  machineType: string; // CUSTOM: cpu and memoryMiB count
  cpu: string;
  memoryMiB: string;
  diskGiB: string;
  name: string;
  network: Preset;
  targets: string;
  ttl: TimerInput;
  idle: TimerInput;
  env: string;
  metadata: string;
}

class Problem extends Error {
  constructor(readonly field: string, message: string) { super(message); }
}

function timerOf(input: TimerInput, field: string): Timer | undefined {
  if (!input.value.trim()) return undefined;
  const n = Number(input.value);
  if (!(n > 0)) throw new Problem(field, 'A number above 0, or nothing.');
  return { seconds: Math.round(n * UNITS[input.unit]), action: input.action };
}

function pairsOf(text: string, field: string): Record<string, string> | undefined {
  const pairs: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (!line.trim()) continue;
    const at = line.indexOf('=');
    if (at < 1) throw new Problem(field, `NAME=VALUE in each line, not “${line.trim()}”.`);
    pairs[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return Object.keys(pairs).length ? pairs : undefined;
}

function shapeOf(i: Input): Partial<LaunchBody> {
  if (i.from === 'snapshot' || !i.machineType) return {};
  if (i.machineType !== CUSTOM) return { machineType: i.machineType };
  const cpu = Number(i.cpu), memoryMiB = Number(i.memoryMiB);
  if (!Number.isInteger(cpu) || cpu < 1) throw new Problem('cpu', 'A whole number from 1 on.');
  if (!Number.isInteger(memoryMiB) || memoryMiB < 64) throw new Problem('memoryMiB', 'A whole number of MiB from 64 on.');
  return { cpu, memoryMiB };
}

function bodyOf(i: Input): LaunchBody {
  const targets = linesOf(i.targets);
  if (i.network === 'list') {
    if (targets.length === 0) throw new Problem('firewall', 'Name at least one address or host.');
    for (const t of targets) {
      const problem = ruleProblem(ruleFor(t));
      if (problem) throw new Problem('firewall', `${t}: ${problem}`);
    }
  }
  const disk = i.diskGiB.trim() ? Number(i.diskGiB) : undefined;
  if (disk !== undefined && !(disk > 0)) throw new Problem('diskGiB', 'A number of GiB, or nothing.');
  return {
    ...(i.from === 'image' ? { image: i.image || undefined } : { snapshotId: i.snapshotId }),
    ...shapeOf(i),
    diskGiB: disk,
    name: i.name.trim() || undefined,
    firewall: firewallOf(i.network, targets),
    ttl: timerOf(i.ttl, 'ttl'),
    idle: timerOf(i.idle, 'idle'),
    envVars: pairsOf(i.env, 'envVars'),
    metadata: pairsOf(i.metadata, 'metadata'),
  };
}

export function CreateDialog({ snapshotId, image, onClose, onCreated }: {
  snapshotId?: string; image?: string; onClose: () => void; onCreated: () => void;
}) {
  const choices = useQuery('launch', async (signal) => {
    const [i, m, s] = await Promise.all([images.list(signal), machineTypes(signal), snapshots.list(signal)]);
    return { images: i, machineTypes: m, snapshots: s };
  });
  const [input, setInput] = useState<Input>({
    from: snapshotId ? 'snapshot' : 'image', image: image ?? '', snapshotId: snapshotId ?? '', machineType: '', cpu: '2', memoryMiB: '512', diskGiB: '', name: '',
    network: 'open', targets: '', env: '', metadata: '',
    ttl: { value: '', unit: 'hours', action: 'delete' }, idle: { value: '', unit: 'minutes', action: 'suspend' },
  });
  const [busy, setBusy] = useState(false), [error, setError] = useState<{ field?: string; message: string }>();
  const set = (part: Partial<Input>) => { setInput((i) => ({ ...i, ...part })); setError(undefined); };
  const at = (...fields: string[]) => (error?.field && fields.some((f) => error.field!.split('.')[0] === f) ? error.message : undefined);
  const known = ['name', 'machineType', 'cpu', 'memoryMiB', 'diskGiB', 'image', 'snapshotId', 'firewall', 'ttl', 'idle', 'envVars', 'metadata'];

  const submit = async () => {
    if (busy) return;
    setError(undefined);
    try {
      if (input.from === 'snapshot' && !input.snapshotId) throw new Problem('snapshotId', 'Choose a snapshot.');
      const body = bodyOf(input);
      setBusy(true);
      const vm = await vms.launch(body);
      onCreated();
      toast.done(vm.status === 'running' ? `${vm.name} runs` : `${vm.name} is being started`);
      navigate(`/vms/${vm.id}`);
    } catch (e) {
      const field = e instanceof ApiError || e instanceof Problem ? e.field : undefined;
      setError({ field, message: messageOf(e) });
      setBusy(false);
    }
  };

  const data = choices.data;
  const ready = data?.images.filter((i) => i.hasKernel !== false && i.hasRootfs !== false) ?? [];
  const imageOptions: Option[] = [
    { value: '', label: 'The default image' },
    ...ready.map((i) => ({
      value: i.builtin === false ? i.id ?? i.name : i.name, disabled: i.state === 'failed',
      label: `${i.name}${i.isDefault ? ' (default)' : ''}${i.state === 'ready' ? '' : ` (${i.state})`}`,
    })),
  ];
  const snapshot = data?.snapshots.find((s) => s.id === input.snapshotId);
  const snapshotOptions: Option[] = [
    { value: '', label: 'Choose…' },
    ...[...(data?.snapshots ?? [])].reverse().map((s) => ({ value: s.id, label: `${s.name} (${s.image}, ${s.machineType})` })),
  ];
  const machineOptions: Option[] = [
    { value: '', label: 'The default' }, ...(data?.machineTypes ?? []).map((m) => ({ value: m.name, label: `${m.name}: ${m.cpu} vCPU, ${mib(m.memoryMiB)}` })),
    { value: CUSTOM, label: 'Custom: CPU and memory' },
  ];

  return (
    <Dialog title="Create VM" wide onClose={onClose} onSubmit={submit} footer={<>
      {error && !known.includes(error.field?.split('.')[0] ?? '') && <p class="field-error grow" role="alert">{error.message}</p>}
      <Button onClick={onClose}>Cancel</Button>
      <Button type="submit" variant="primary" busy={busy} disabled={!data}>{busy ? 'Starting…' : 'Create'}</Button>
    </>}>
      {choices.error && !data && <ErrorBox error={choices.error} retry={choices.reload} />}
      {!data && !choices.error && <Loading />}
      {data && (
        <div class="form">
          <Segmented label="From" value={input.from} onInput={(from) => set({ from, machineType: '' })}
            options={[{ value: 'image', label: 'From an image' }, { value: 'snapshot', label: 'From a snapshot' }]} />
          <div class="form-grid is-two">
            {input.from === 'image'
              ? <Select label="Image" value={input.image} options={imageOptions} onInput={(v) => set({ image: v })} error={at('image')} />
              : <Select label="Snapshot" value={input.snapshotId} options={snapshotOptions} onInput={(v) => set({ snapshotId: v })} error={at('snapshotId')}
                  hint={data.snapshots.length ? undefined : 'There are none yet.'} />}
            {input.from === 'image'
              ? <Select label="Machine type" value={input.machineType} options={machineOptions} onInput={(v) => set({ machineType: v })} error={at('machineType')} />
              : <TextField label="Machine type" value={snapshot?.machineType ?? ''} onInput={() => {}} disabled hint="The snapshot’s: its memory goes on." />}
            {input.from === 'image' && input.machineType === CUSTOM && <>
              <TextField label="vCPUs" value={input.cpu} onInput={(v) => set({ cpu: v })} inputMode="numeric" error={at('cpu')} />
              <TextField label="Memory, MiB" value={input.memoryMiB} onInput={(v) => set({ memoryMiB: v })} inputMode="numeric" error={at('memoryMiB')} />
            </>}
            <TextField label="Name" optional value={input.name} onInput={(v) => set({ name: v })} error={at('name')} autofocus maxLength={64} />
            <TextField label="Disk, GiB" optional value={input.diskGiB} onInput={(v) => set({ diskGiB: v })} inputMode="decimal" error={at('diskGiB')}
              placeholder={input.from === 'image' ? 'The image’s' : 'The snapshot’s'} />
          </div>
          <div class="field">
            <span class="field-label">Outbound network</span>
            <Segmented<Preset> label="Outbound network" value={input.network} onInput={(network) => set({ network })}
              options={[{ value: 'open', label: 'Everything' }, { value: 'list', label: 'Only some' }, { value: 'none', label: 'Nothing' }]} />
            {input.network !== 'list' && <p class="hint">{input.network === 'open' ? 'Nothing comes in. The host and other VMs are out of reach.' : 'Not even names are resolved.'}</p>}
          </div>
          {input.network === 'list' && (
            <TextArea label="It may reach" value={input.targets} onInput={(v) => set({ targets: v })} error={at('firewall')} placeholder={'203.0.113.0/24\npypi.org\n*.pythonhosted.org'}
              hint="Addresses, CIDRs and names, one a line. Ports and finer rules: on the VM’s page." />
          )}
          <details class="more" open={Boolean(at('ttl', 'idle', 'envVars', 'metadata'))}>
            <summary><Icon name="right" size={14} />Time limits, environment, metadata</summary>
            <div class="form">
              <TimerFields label="After it has run for" input={input.ttl} onInput={(ttl) => set({ ttl })} error={at('ttl')} />
              <TimerFields label="After idling for" input={input.idle} onInput={(idle) => set({ idle })} error={at('idle')} />
              <div class="form-grid">
                <TextArea label="Environment" optional value={input.env} onInput={(v) => set({ env: v })} placeholder="NAME=value" error={at('envVars')} />
                <TextArea label="Metadata" optional value={input.metadata} onInput={(v) => set({ metadata: v })} placeholder="key=value" error={at('metadata')} />
              </div>
            </div>
          </details>
        </div>
      )}
    </Dialog>
  );
}

function TimerFields({ label, input, onInput, error }: { label: string; input: TimerInput; onInput: (t: TimerInput) => void; error?: string }) {
  return (
    <div class="form-grid is-timer">
      <TextField label={label} value={input.value} placeholder="no limit" inputMode="decimal" onInput={(value) => onInput({ ...input, value })} error={error} />
      <Select label="Unit" value={input.unit} onInput={(unit) => onInput({ ...input, unit })} options={Object.keys(UNITS).map((u) => ({ value: u, label: u }))} />
      <Select label="Then" value={input.action} onInput={(a) => onInput({ ...input, action: a as Timer['action'] })} options={ACTIONS.map((a) => ({ value: a, label: a }))} />
    </div>
  );
}

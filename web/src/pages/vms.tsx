// SPDX-License-Identifier: Apache-2.0
// All VMs of the account, as they are now.

import { useMemo, useState } from 'preact/hooks';

import { vms, type Vm } from '../api/native';
import { useQuery } from '../api/query';
import { Sparkline } from '../charts';
import { useCommands } from '../commands';
import { bytes, mib, percent, plural, toMs } from '../format';
import { Link, navigate, useLocation } from '../router';
import { Age, Button, Empty, ErrorBox, IconButton, Loading, Menu, PageHeader, Search, SelectBox, Table, type Column } from '../ui';
import { lastValue, useUsage, type Usage } from '../usage';
import { VmDialogs, deleteVms, moveVms, vmMenu } from '../vm-actions';
import { StatusBadge, may, type Move } from '../vm-status';
import { CreateDialog } from './vms-create';

const LIST_EVERY_MS = 3000, USAGE_EVERY_MS = 4000;
// Stats are asked for one VM at a time: of a long list, only those of the first rows.
const USAGE_MOST = 60;

function CpuCell({ vm, usage }: { vm: Vm; usage?: Usage }) {
  const now = lastValue(usage?.cpu), is = vm.status === 'running' && usage;
  return (
    <span class="cell-usage">
      <span class="num">{is && now !== null ? percent(now / vm.cpu) : <span class="muted">–</span>} <span class="muted">of {vm.cpu}</span></span>
      {is && <Sparkline max={vm.cpu} values={usage.cpu.slice(-20).map(([, v]) => v ?? 0)} />}
    </span>
  );
}

function MemoryCell({ vm, usage }: { vm: Vm; usage?: Usage }) {
  const is = (vm.status === 'running' || vm.status === 'paused') && usage;
  return <span class="num nowrap">{is ? bytes(usage.last.memoryBytes) : <span class="muted">–</span>} <span class="muted">of {mib(vm.memoryMiB)}</span></span>;
}

export const sourceWords = (vm: Vm) => vm.image || vm.sourceName || '–';

function columns(usage: ReadonlyMap<string, Usage>, changed: () => void): Column<Vm>[] {
  return [
    { key: 'name', label: 'Name', card: 'title', sort: (v) => v.name, render: (v) => (
      <span class="cell-name"><Link href={`/vms/${v.id}`}>{v.name}</Link><span class="muted mono">{v.id.slice(0, 8)}</span></span>
    ) },
    { key: 'status', label: 'State', sort: (v) => v.status, render: (v) => <StatusBadge status={v.status} detail={v.detail} /> },
    { key: 'image', label: 'Image', sort: sourceWords, render: (v) => <span class="mono">{sourceWords(v)}</span> },
    { key: 'cpu', label: 'CPU', sort: (v) => lastValue(usage.get(v.id)?.cpu) ?? -1, render: (v) => <CpuCell vm={v} usage={usage.get(v.id)} /> },
    { key: 'memory', label: 'Memory', sort: (v) => v.memoryMiB, render: (v) => <MemoryCell vm={v} usage={usage.get(v.id)} /> },
    { key: 'age', label: 'Age', sort: (v) => -toMs(v.createdAt), render: (v) => <Age time={v.createdAt} /> },
    { key: 'actions', label: 'Actions', hideLabel: true, card: 'actions', align: 'right', width: '84px', render: (v) => (
      <span class="row-actions">
        <IconButton small icon="terminal" label={`Terminal of ${v.name}`} disabled={v.status !== 'running'} onClick={() => navigate(`/vms/${v.id}/terminal`)} />
        <Menu small label={`Actions for ${v.name}`} items={vmMenu(v, changed)} />
      </span>
    ) },
  ];
}

const STATES = ['running', 'paused', 'suspended', 'stopped', 'error'];

export function VmsPage() {
  const { query } = useLocation();
  const list = useQuery('vms', (signal) => vms.list(signal), { everyMs: LIST_EVERY_MS, onEvent: (e) => e.type.startsWith('vm.') });
  const [text, setText] = useState(''), [state, setState] = useState('');
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());

  const all = list.data ?? [];
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return all.filter((v) => {
      const about = `${v.name} ${v.id} ${v.status} ${sourceWords(v)} ${Object.entries(v.metadata).flat().join(' ')}`.toLowerCase();
      return (!state || v.status === state) && words.every((w) => about.includes(w));
    });
  }, [all, text, state]);
  const running = found.filter((v) => v.status === 'running' || v.status === 'paused').slice(0, USAGE_MOST).map((v) => v.id);
  const usage = useUsage(running, USAGE_EVERY_MS);
  const cols = useMemo(() => columns(usage, list.reload), [usage, list.reload]);
  const chosen = found.filter((v) => selected.has(v.id));

  const create = () => navigate('/vms?create=1');
  useCommands('VMs', () => [
    { label: 'Delete the selected VMs', icon: 'trash', keys: 'd', hidden: chosen.length === 0, run: () => { if (chosen.length) void bulkDelete(); } },
  ], [chosen.map((v) => v.id).join()]);
  const bulkDelete = async () => { if (await deleteVms(chosen, list.reload)) setSelected(new Set()); };

  const active = all.filter((v) => v.status === 'running').length;
  return (
    <>
      <PageHeader title="VMs" subtitle={list.data && `${plural(all.length, 'VM')}, ${active} running`}
        actions={<Button variant="primary" icon="plus" onClick={create}>Create VM</Button>} />
      {list.error && <ErrorBox error={list.error} retry={list.reload} title={list.data ? 'The list may be old' : undefined} />}
      {list.loading && <div class="table-frame"><Loading rows={6} /></div>}
      {list.data && all.length === 0 && (
        <Empty icon="vms" title="No VMs yet" actions={<Button variant="primary" icon="plus" onClick={create}>Create VM</Button>}>
          A VM is a small computer of its own that starts in a moment: open a terminal in it, run commands, fork it as it is.
        </Empty>
      )}
      {all.length > 0 && (
        <>
          <div class="toolbar">
            <Search label="Filter VMs" value={text} onInput={setText} />
            <div class="toolbar-select">
              <SelectBox aria-label="State" value={state} onInput={setState}
                options={[{ value: '', label: 'All states' }, ...STATES.map((s) => ({ value: s, label: `${s} (${all.filter((v) => v.status === s).length})` }))]} />
            </div>
            {chosen.length > 0 && <BulkBar chosen={chosen} changed={list.reload} onDelete={bulkDelete} onClear={() => setSelected(new Set())} />}
          </div>
          <Table label="VMs" rows={found} columns={cols} rowKey={(v) => v.id} rowLabel={(v) => v.name} initialSort={{ key: 'age', down: false }}
            selected={selected} onSelect={setSelected} onOpen={(v) => navigate(`/vms/${v.id}`)}
            empty={<Empty icon="search" title="No VM fits" actions={<Button onClick={() => { setText(''); setState(''); }}>Show all</Button>} />} />
        </>
      )}
      {query.get('create') && (
        <CreateDialog snapshotId={query.get('snapshot') ?? undefined} image={query.get('image') ?? undefined}
          onClose={() => navigate('/vms', { replace: true })} onCreated={list.reload} />
      )}
      <VmDialogs />
    </>
  );
}

function BulkBar({ chosen, changed, onDelete, onClear }: { chosen: Vm[]; changed: () => void; onDelete: () => void; onClear: () => void }) {
  const can = (m: Move) => chosen.some((v) => may(m, v.status));
  return (
    <div class="bulk" role="group" aria-label="Selected VMs">
      <span class="nowrap">{chosen.length} selected</span>
      {can('start') && <Button small icon="play" onClick={() => void moveVms(chosen, 'start', changed)}>Start</Button>}
      {can('resume') && <Button small icon="play" onClick={() => void moveVms(chosen, 'resume', changed)}>Resume</Button>}
      {can('pause') && <Button small icon="pause" onClick={() => void moveVms(chosen, 'pause', changed)}>Pause</Button>}
      {can('suspend') && <Button small icon="suspend" onClick={() => void moveVms(chosen, 'suspend', changed)}>Suspend</Button>}
      {can('stop') && <Button small icon="stop" onClick={() => void moveVms(chosen, 'stop', changed)}>Stop</Button>}
      <Button small icon="trash" class="is-bad" onClick={onDelete}>Delete</Button>
      <IconButton small icon="close" label="Select none" onClick={onClear} />
    </div>
  );
}

// SPDX-License-Identifier: Apache-2.0
// Snapshots: as a tree of what was made from what, and as a list.

import './parts/manage.css';

import { useMemo, useState } from 'preact/hooks';

import { messageOf } from '../api/client';
import { snapshots, vms, type Snapshot, type Vm } from '../api/native';
import { useQuery } from '../api/query';
import { bytes, dateTime, mib, plural } from '../format';
import { lineage, prune, snapshotKey, type LineageNode } from '../lineage';
import { Link, navigate, useLocation } from '../router';
import {
  Age, Button, Empty, ErrorBox, Facts, Icon, Id, Loading, Menu, PageHeader, Search, Segmented, Table, confirm, prompt, toast, type Column,
} from '../ui';
import { StatusBadge, may } from '../vm-status';
import { Tree } from './parts/tree';

const POLL_MS = 10_000;

interface Actions {
  launch: (s: Snapshot) => void;
  rename: (s: Snapshot) => void;
  remove: (some: Snapshot[]) => void;
}

// --- What can be done with them ---

const launch = (s: Snapshot) => navigate(`/vms?create=1&snapshot=${encodeURIComponent(s.id)}`);

function actionsFor(reload: () => void): Actions {
  return {
    launch,
    rename: (s) => void prompt({
      title: 'Rename the snapshot', action: 'Rename', field: { label: 'Name', value: s.name }, run: (name) => snapshots.rename(s.id, name),
    }).then((name) => { if (name !== null) { toast.done('The snapshot has a new name'); reload(); } }),
    remove: (some) => void confirm({
      title: some.length === 1 ? `Delete ${some[0].name}?` : `Delete ${plural(some.length, 'snapshot')}?`,
      text: 'VMs that were launched from it are not touched: they hold what they need. This cannot be undone.',
      action: some.length === 1 ? 'Delete the snapshot' : `Delete ${plural(some.length, 'snapshot')}`,
      danger: true,
      run: () => removeAll(some),
    }).then((yes) => { if (yes) toast.done(some.length === 1 ? 'The snapshot is deleted' : 'The snapshots are deleted'); reload(); }),
  };
}

// All are tried; what failed is said together.
async function removeAll(some: Snapshot[]) {
  const failed: string[] = [];
  for (const s of some)
    await snapshots.remove(s.id).catch((e) => failed.push(some.length > 1 ? `${s.name}: ${messageOf(e)}` : messageOf(e)));
  if (failed.length) throw new Error(failed.join(' '));
}

// --- The tree ---

function NodeRow({ node }: { node: LineageNode }) {
  const { vm, snapshot } = node, isGone = !vm && !snapshot;
  return (
    <span class={`tree-row ${isGone ? 'is-gone' : ''}`}>
      <Icon name={node.kind === 'vm' ? (node.how === 'fork' ? 'fork' : 'vms') : 'camera'} />
      <span class="tree-name">{node.name}</span>
      {isGone && <code class="muted">{node.id.slice(0, 8)}</code>}
      {vm && <StatusBadge status={vm.status} detail={vm.detail} />}
      {snapshot && <span class="muted num">{bytes(snapshot.sizeBytes)}</span>}
      <span class="tree-how muted">
        {node.how === 'fork' ? 'forked' : node.how === 'launch' ? 'launched' : node.how === 'capture' ? 'taken' : isGone ? '' : 'created'}
        {!isGone && <> <Age time={node.createdAt} suffix=" ago" /></>}
      </span>
    </span>
  );
}

function count(node: LineageNode, kind: LineageNode['kind']): number {
  return node.children.reduce((sum, c) => sum + Number(c.kind === kind) + count(c, kind), 0);
}

// "2 VMs, 1 snapshot": all that came from it, directly or not.
function below(node: LineageNode): string {
  const machines = count(node, 'vm'), some = count(node, 'snapshot');
  return [machines && plural(machines, 'VM'), some && plural(some, 'snapshot')].filter(Boolean).join(', ') || 'Nothing';
}

function SnapshotDetail({ s, node, actions }: { s: Snapshot; node: LineageNode; actions: Actions }) {
  return (
    <>
      <div class="actions">
        <Button small variant="primary" icon="play" onClick={() => actions.launch(s)}>Launch from it</Button>
        <Button small icon="edit" onClick={() => actions.rename(s)}>Rename</Button>
        <Button small icon="trash" onClick={() => actions.remove([s])}>Delete</Button>
      </div>
      <Facts items={[
        ['Id', <Id id={s.id} />],
        ['Taken', <span class="num">{dateTime(s.createdAt)}</span>],
        ['Of VM', <code>{s.vmId.slice(0, 8)}</code>],
        ['Machine', `${plural(s.cpu, 'CPU')}, ${mib(s.memoryMiB)}, ${s.diskGiB} GiB disk`],
        ['Image', s.image],
        ['Stored', bytes(s.sizeBytes)],
        ['VM stood still', `${Math.round(s.pauseMs)} ms`],
        ['Made from it', below(node)],
      ]} />
    </>
  );
}

function VmDetail({ vm, node, onSnapshot }: { vm: Vm; node: LineageNode; onSnapshot: (vm: Vm) => void }) {
  const canCapture = may('snapshot', vm.status);
  return (
    <>
      <div class="actions">
        <Link class="button is-primary is-small" href={`/vms/${vm.id}`}>Open</Link>
        <Button small icon="camera" disabled={!canCapture} title={canCapture ? undefined : 'It must run, or be paused'} onClick={() => onSnapshot(vm)}>Snapshot</Button>
      </div>
      <Facts items={[
        ['Id', <Id id={vm.id} />],
        ['Status', <StatusBadge status={vm.status} detail={vm.detail} />],
        ['Created', <span class="num">{dateTime(vm.createdAt)}</span>],
        ['Machine', `${plural(vm.cpu, 'CPU')}, ${mib(vm.memoryMiB)}, ${vm.diskGiB} GiB disk`],
        ['Image', vm.image ?? '–'],
        ['Made from it', below(node)],
      ]} />
    </>
  );
}

function Detail({ node, actions, onSnapshot }: { node: LineageNode | undefined; actions: Actions; onSnapshot: (vm: Vm) => void }) {
  return (
    <aside class={`tree-detail panel ${node ? '' : 'is-empty'}`} aria-label="What is selected">
      {!node ? <p class="muted">Select something to see what it is.</p> : (
        <>
          <h2>{node.name}</h2>
          {node.snapshot ? <SnapshotDetail s={node.snapshot} node={node} actions={actions} />
            : node.vm ? <VmDetail vm={node.vm} node={node} onSnapshot={onSnapshot} />
            : <>
                <p class="muted">It was deleted. What was made from it is still there, and holds what it needs.</p>
                <Facts items={[['Id', <Id id={node.id} />], ['Made from it', below(node)]]} />
              </>}
        </>
      )}
    </aside>
  );
}

function find(nodes: LineageNode[], key: string | undefined): LineageNode | undefined {
  for (const n of nodes) {
    const found = n.key === key ? n : find(n.children, key);
    if (found) return found;
  }
  return undefined;
}

function takeSnapshot(vm: Vm, reload: () => void) {
  void prompt({
    title: `Snapshot of ${vm.name}`, text: 'The VM goes on; it stands still for some milliseconds.', action: 'Take it',
    field: { label: 'Name', value: vm.name }, run: (name) => snapshots.create(vm.id, name.trim() || undefined),
  }).then((name) => { if (name !== null) { toast.done('The snapshot is taken'); reload(); } });
}

function TreeView({ roots, actions, reload, first }: { roots: LineageNode[]; actions: Actions; reload: () => void; first?: string }) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set()), [selected, setSelected] = useState(first);
  const open = (n: LineageNode) => {
    if (n.vm) navigate(`/vms/${n.vm.id}`);
    else if (n.snapshot) actions.launch(n.snapshot);
  };
  return (
    <div class="tree-view">
      <div class="panel tree-panel">
        <Tree label="What was made from what" nodes={roots} closed={closed} onClosed={setClosed} selected={selected} onSelect={setSelected}
          onOpen={open} render={(n) => <NodeRow node={n} />} />
      </div>
      <Detail node={find(roots, selected)} actions={actions} onSnapshot={(vm) => takeSnapshot(vm, reload)} />
    </div>
  );
}

// --- The list ---

function columns(actions: Actions, names: Map<string, string>): Column<Snapshot>[] {
  return [
    {
      key: 'name', label: 'Name', card: 'title', sort: (s) => s.name,
      render: (s) => <div class="cell-name"><strong>{s.name}</strong><Id id={s.id} /></div>,
    },
    {
      key: 'vm', label: 'Of VM', sort: (s) => names.get(s.vmId) ?? '',
      render: (s) => (names.has(s.vmId) ? <Link href={`/vms/${s.vmId}`}>{names.get(s.vmId)}</Link> : <span class="muted">deleted, <code>{s.vmId.slice(0, 8)}</code></span>),
    },
    { key: 'image', label: 'Image', sort: (s) => s.image, render: (s) => s.image },
    { key: 'machine', label: 'Machine', sort: (s) => s.memoryMiB, render: (s) => <span class="num">{plural(s.cpu, 'CPU')}, {mib(s.memoryMiB)}</span> },
    { key: 'size', label: 'Stored', align: 'right', sort: (s) => s.sizeBytes, render: (s) => <span class="num">{bytes(s.sizeBytes)}</span> },
    { key: 'taken', label: 'Taken', align: 'right', sort: (s) => -Date.parse(s.createdAt), render: (s) => <Age time={s.createdAt} suffix=" ago" /> },
    {
      key: 'actions', label: 'Actions', hideLabel: true, align: 'right', card: 'actions',
      render: (s) => (
        <Menu label={`Actions for ${s.name}`} items={[
          { label: 'Launch from it', icon: 'play', onSelect: () => actions.launch(s) },
          { label: 'Rename', icon: 'edit', onSelect: () => actions.rename(s) },
          { label: 'Delete', icon: 'trash', danger: true, separated: true, onSelect: () => actions.remove([s]) },
        ]} />
      ),
    },
  ];
}

function ListView({ rows, names, actions }: { rows: Snapshot[]; names: Map<string, string>; actions: Actions }) {
  const [selected, setSelected] = useState<Set<string>>(new Set());
  const chosen = rows.filter((s) => selected.has(s.id));
  return (
    <>
      {chosen.length > 0 && (
        <div class="toolbar selection" role="region" aria-label="Selected">
          <span>{plural(chosen.length, 'snapshot')}, {bytes(chosen.reduce((sum, s) => sum + s.sizeBytes, 0))}</span>
          <Button small icon="trash" onClick={() => actions.remove(chosen)}>Delete</Button>
          <Button small variant="ghost" onClick={() => setSelected(new Set())}>Select none</Button>
        </div>
      )}
      <Table label="Snapshots" rows={rows} columns={columns(actions, names)} rowKey={(s) => s.id} rowLabel={(s) => s.name}
        selected={selected} onSelect={setSelected} initialSort={{ key: 'taken', down: false }} />
    </>
  );
}

// --- The page ---

const load = async (signal: AbortSignal) => {
  const [machines, some] = await Promise.all([vms.list(signal), snapshots.list(signal)]);
  return { machines, some };
};

export function SnapshotsPage(_: { params: Record<string, string> }) {
  const query = useQuery('lineage', load, { everyMs: POLL_MS, onEvent: (e) => /^(vm|snapshot)\./.test(e.type) });
  const [view, setView] = useState<'tree' | 'list'>('tree'), [text, setText] = useState('');
  const words = text.trim().toLowerCase(), wanted = useLocation().query.get('id');
  const { machines, some } = query.data ?? { machines: [], some: [] };
  const actions = useMemo(() => actionsFor(query.reload), [query.reload]);
  // A VM that came from nothing and of which nothing was made says nothing here.
  const roots = useMemo(() => lineage(machines, some).filter((r) => r.total > 0 || r.kind === 'snapshot'), [machines, some]);
  const shownRoots = useMemo(
    () => (words ? prune(roots, (n) => `${n.name} ${n.id}`.toLowerCase().includes(words)) : roots), [roots, words]);
  const names = useMemo(() => new Map(machines.map((v) => [v.id, v.name])), [machines]);
  const rows = useMemo(() => some.filter((s) => `${s.name} ${s.id} ${s.image}`.toLowerCase().includes(words)), [some, words]);
  const nothing = view === 'tree' ? roots.length === 0 : some.length === 0;
  const found = view === 'tree' ? shownRoots.length > 0 : rows.length > 0;
  return (
    <>
      <PageHeader title="Snapshots" subtitle={query.data && `${plural(some.length, 'snapshot')}, ${bytes(some.reduce((sum, s) => sum + s.sizeBytes, 0))} stored`} />
      {query.error && <ErrorBox error={query.error} retry={query.reload} />}
      {query.loading ? <Loading /> : query.data && (
        <>
          <div class="toolbar">
            <Search label={view === 'tree' ? 'Filter the tree' : 'Filter snapshots'} value={text} onInput={setText} />
            <Segmented label="How to show them" value={view} onInput={setView} options={[{ value: 'tree', label: 'Tree' }, { value: 'list', label: 'List' }]} />
          </div>
          {nothing ? (
            <Empty icon="snapshots" title={view === 'tree' ? 'No snapshots or forks yet' : 'No snapshots yet'} actions={<Button onClick={() => navigate('/vms')}>To the VMs</Button>}>
              Take a snapshot of a VM to keep it as it is this instant, and launch others from it.
            </Empty>
          ) : !found ? <Empty icon="search" title="Nothing is called that">Clear the filter to see the others.</Empty>
            : view === 'tree' ? <TreeView roots={shownRoots} actions={actions} reload={query.reload} first={wanted ? snapshotKey(wanted) : undefined} />
            : <ListView rows={rows} names={names} actions={actions} />}
        </>
      )}
    </>
  );
}

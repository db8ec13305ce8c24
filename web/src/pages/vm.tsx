// SPDX-License-Identifier: Apache-2.0
// One VM. Its tabs are in src/vm/.

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { ApiError, messageOf } from '../api/client';
import { vms, type Vm } from '../api/native';
import { useQuery, type Query } from '../api/query';
import { useCommands } from '../commands';
import { mib } from '../format';
import { navigate } from '../router';
import { Age, Button, Empty, ErrorBox, Id, Loading, Menu, Note, PageHeader, Tabs, toast } from '../ui';
import { VmDialogs, moveVms, vmMenu } from '../vm-actions';
import { StatusBadge, isPassing, may } from '../vm-status';
import { CommandTab } from '../vm/command';
import { FilesTab } from '../vm/files';
import { JobsTab } from '../vm/jobs';
import { NetworkTab } from '../vm/network';
import { OverviewTab } from '../vm/overview';
import { SerialTab, TerminalTab } from '../vm/terminals';
import { sourceWords } from './vms';

export interface TabProps {
  vm: Vm;
  query: Query<Vm>;
}

const TABS: { key: string; label: string; page: ComponentType<TabProps>; stays?: boolean }[] = [
  { key: 'overview', label: 'Overview', page: OverviewTab },
  // What runs in these goes on while another tab is looked at.
  { key: 'terminal', label: 'Terminal', page: TerminalTab, stays: true },
  { key: 'command', label: 'Command', page: CommandTab, stays: true },
  { key: 'files', label: 'Files', page: FilesTab, stays: true },
  { key: 'network', label: 'Network', page: NetworkTab },
  { key: 'jobs', label: 'Jobs', page: JobsTab },
  { key: 'serial', label: 'Serial console', page: SerialTab },
];

const EVERY_MS = 3000, PASSING_EVERY_MS = 700;

export function VmPage({ params }: { params: Record<string, string> }) {
  const { id } = params, tab = params.tab ?? 'overview';
  const [passing, setPassing] = useState(false);
  const query = useQuery(`vm ${id}`, (signal) => vms.get(id, signal), {
    everyMs: passing ? PASSING_EVERY_MS : EVERY_MS, onEvent: (e) => e.entityId?.endsWith(id) ?? false,
  });
  const vm = query.data;
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set([tab]));
  useEffect(() => { if (!opened.has(tab)) setOpened(new Set([...opened, tab])); }, [tab]);
  useEffect(() => { setPassing(vm ? isPassing(vm.status) : false); }, [vm?.status]);
  useEffect(() => { if (vm) document.title = `${vm.name} · Holm`; }, [vm?.name]);

  const select = (key: string) => navigate(key === 'overview' ? `/vms/${id}` : `/vms/${id}/${key}`, { replace: true });
  useCommands('This VM', () => TABS.map((t, i) => ({ label: `Tab: ${t.label}`, keys: String(i + 1), run: () => select(t.key) })), [id]);

  if (query.error && (!vm || (query.error instanceof ApiError && query.error.status === 404))) {
    const isGone = query.error instanceof ApiError && (query.error.status === 404 || query.error.status === 400);
    return isGone
      ? <Empty icon="vms" title="There is no such VM" actions={<Button onClick={() => navigate('/vms')}>To the VMs</Button>}>It may have been deleted, here or by somebody else.</Empty>
      : <ErrorBox error={query.error} retry={query.reload} />;
  }
  if (!vm) return <Loading rows={6} />;
  if (!TABS.some((t) => t.key === tab))
    return <Empty icon="search" title="There is no such page" actions={<Button onClick={() => select('overview')}>To the VM</Button>} />;

  return (
    <>
      <PageHeader back={{ href: '/vms', label: 'VMs' }} title={<>{vm.name} <StatusBadge status={vm.status} detail={vm.detail} /></>}
        subtitle={<span class="vm-line"><Id id={vm.id} /><span>{sourceWords(vm)}</span><span>{vm.cpu} vCPU, {mib(vm.memoryMiB)}</span><span><Age time={vm.createdAt} suffix=" old" /></span></span>}
        actions={<Actions vm={vm} query={query} />} />
      {vm.status === 'error' && <Note tone="bad"><strong>This VM is in error.</strong> {vm.detail ?? 'Its monitor has ended.'} Start boots it from its disk.</Note>}
      {query.error && <ErrorBox error={messageOf(query.error)} retry={query.reload} title="What you see may be old" />}
      <Tabs label="Parts of the VM" tabs={TABS} active={tab} onSelect={select}>
        {TABS.map(({ key, page: Tab, stays }) => (
          (key === tab || (stays && opened.has(key))) && <div key={key} hidden={key !== tab}><Tab vm={vm} query={query} /></div>
        ))}
      </Tabs>
      <VmDialogs />
    </>
  );
}

// The moves that are wanted most are buttons, the others are in the menu.
function Actions({ vm, query }: TabProps) {
  const items = vmMenu(vm, query.reload, { onDeleted: () => { toast.done(`${vm.name} deleted`); navigate('/vms'); } });
  const is = (move: 'start' | 'resume' | 'pause' | 'stop') => may(move, vm.status);
  return (
    <>
      {is('start') && <Button icon="play" onClick={() => void moveVms([vm], 'start', query.reload)}>Start</Button>}
      {is('resume') && <Button icon="play" onClick={() => void moveVms([vm], 'resume', query.reload)}>Resume</Button>}
      {is('pause') && <Button icon="pause" onClick={() => void moveVms([vm], 'pause', query.reload)}>Pause</Button>}
      {is('stop') && <Button icon="stop" onClick={() => void moveVms([vm], 'stop', query.reload)}>Stop</Button>}
      <Menu label="More actions" items={items}>Actions</Menu>
    </>
  );
}

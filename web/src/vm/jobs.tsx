// SPDX-License-Identifier: Apache-2.0
// Commands that run in the VM by themselves.

import { useEffect, useReducer, useRef, useState } from 'preact/hooks';

import { messageOf, ndjson, wasAborted } from '../api/client';
import { vms, type ExecEvent, type Job } from '../api/native';
import { useQuery } from '../api/query';
import { bytes, millis, toMs } from '../format';
import type { TabProps } from '../pages/vm';
import { navigate } from '../router';
import { Age, Badge, Button, Empty, ErrorBox, Loading, Menu, Note, Panel, Table, confirm, toast, type Column, type MenuItem } from '../ui';
import { Output, OutputView, onFrame } from './output';

const EVERY_MS = 2000;
const SIGNALS: [string, number][] = [['Ask it to end (TERM)', 15], ['Interrupt (INT)', 2], ['Hang up (HUP)', 1], ['Kill (KILL)', 9]];

// ["sh", "-c", TEXT] is what the Command tab starts: TEXT is what was typed.
export function commandWords(command: string[]): string {
  if (command.length === 3 && command[1] === '-c') return command[2];
  return command.map((w) => (/^[\w./:=@%+-]+$/.test(w) ? w : `'${w.replace(/'/g, `'\\''`)}'`)).join(' ');
}

export function JobsTab({ vm }: TabProps) {
  const isUp = vm.status === 'running';
  const list = useQuery(`jobs ${vm.id}`, (signal) => vms.jobs(vm.id, signal), { everyMs: EVERY_MS, enabled: isUp });
  const [open, setOpen] = useState<string>();
  if (!isUp) return <Empty icon="clock" title="Jobs live in a running VM">This one is {vm.status}.</Empty>;
  if (list.error && !list.data) return <ErrorBox error={list.error} retry={list.reload} />;
  if (!list.data) return <Loading />;

  const signal = async (job: Job, number: number) => {
    try {
      await vms.jobSignal(vm.id, job.execId, number);
      list.reload();
    } catch (e) { toast.error(e); }
  };
  const forget = async (job: Job) => {
    const yes = await confirm({ title: 'Forget this job?', text: <>Its output goes too: <code>{commandWords(job.command)}</code></>, action: 'Forget',
      run: () => vms.jobSignal(vm.id, job.execId) });
    if (!yes) return;
    if (open === job.execId) setOpen(undefined);
    list.reload();
  };
  const menu = (job: Job): MenuItem[] => job.running
    ? SIGNALS.map(([label, n]) => ({ label, danger: n === 9, onSelect: () => void signal(job, n) }))
    : [{ label: 'Forget…', icon: 'trash', danger: true, onSelect: () => void forget(job) }];
  const columns: Column<Job>[] = [
    { key: 'command', label: 'Command', card: 'title', render: (j) => <code class="job-command">{commandWords(j.command)}</code> },
    { key: 'state', label: 'State', sort: (j) => (j.running ? -1 : j.exitCode ?? 0), render: (j) => (j.running
      ? <Badge tone="good" dot>running</Badge> : <Badge tone={j.exitCode === 0 ? 'neutral' : 'bad'} dot>{j.timedOut ? 'timed out' : `exit ${j.exitCode ?? 0}`}</Badge>) },
    { key: 'started', label: 'Started', sort: (j) => toMs(j.startedAt), render: (j) => <Age time={j.startedAt} suffix=" ago" /> },
    { key: 'took', label: 'Time', align: 'right', sort: (j) => j.durationMs, render: (j) => <span class="num">{millis(j.durationMs)}</span> },
    { key: 'output', label: 'Output', align: 'right', sort: (j) => j.outputBytes, render: (j) => <span class="num">{bytes(j.outputBytes)}</span> },
    { key: 'actions', label: 'Actions', hideLabel: true, card: 'actions', align: 'right', width: '48px',
      render: (j) => <Menu small label={`Actions for ${commandWords(j.command)}`} items={menu(j)} /> },
  ];
  const chosen = list.data.find((j) => j.execId === open);
  return (
    <div class="stack">
      <Table label="Jobs" rows={list.data} columns={columns} rowKey={(j) => j.execId} initialSort={{ key: 'started', down: true }}
        onOpen={(j) => setOpen(j.execId)} empty={(
          <Empty icon="clock" title="No jobs" actions={<Button onClick={() => navigate(`/vms/${vm.id}/command`, { replace: true })}>Run a command</Button>}>
            A command that is run in the background goes on when clients come and go, and in the copies when the VM is forked.
          </Empty>
        )} />
      {chosen && <JobOutput key={chosen.execId} vmId={vm.id} job={chosen} onClose={() => setOpen(undefined)} />}
    </div>
  );
}

function JobOutput({ vmId, job, onClose }: { vmId: string; job: Job; onClose: () => void }) {
  const output = useRef(new Output()), version = useRef(0), [, redraw] = useReducer((n: number) => n + 1, 0);
  const [error, setError] = useState<string>();
  useEffect(() => {
    const abort = new AbortController(), draw = onFrame(() => { if (!abort.signal.aborted) redraw(0); });
    (async () => {
      try {
        for await (const event of ndjson<ExecEvent>(await vms.jobOutput(vmId, job.execId, 0, true, abort.signal))) {
          output.current.add(event);
          version.current++;
          draw();
        }
      } catch (e) {
        if (!wasAborted(e)) setError(messageOf(e));
      }
    })();
    return () => abort.abort();
  }, [vmId, job.execId]);
  return (
    <Panel flush title={<code>{commandWords(job.command)}</code>} actions={<Button small onClick={onClose}>Close</Button>}>
      {error && <Note tone="bad">{error}</Note>}
      <OutputView output={output.current} version={version.current} label="Output of the job" running={job.running} />
    </Panel>
  );
}

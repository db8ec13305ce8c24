// SPDX-License-Identifier: Apache-2.0
// The API keys of the account that is signed in.

import './parts/manage.css';

import { useState } from 'preact/hooks';

import type { ApiError } from '../api/client';
import { useQuery } from '../api/query';
import { keys, type ApiKey } from '../api/rds';
import { useCommands } from '../commands';
import { dateTime } from '../format';
import {
  Age, Badge, Button, Dialog, Empty, ErrorBox, Loading, Menu, PageHeader, Search, Segmented, Select, Table, TextField, confirm, toast, useNow,
  type Column,
} from '../ui';
import { SecretDialog } from './parts/secret';

const DAY_MS = 86_400_000, SOON_MS = 7 * DAY_MS;
const POLL_MS = 30_000;

type State = 'active' | 'expiring' | 'expired' | 'revoked';

function stateOf(key: ApiKey, now: number): State {
  if (key.revokedAt) return 'revoked';
  if (!key.expiresAt) return 'active';
  const left = Date.parse(key.expiresAt) - now;
  return left <= 0 ? 'expired' : left < SOON_MS ? 'expiring' : 'active';
}

function StateBadge({ state }: { state: State }) {
  if (state === 'active') return <Badge tone="good" dot>Active</Badge>;
  if (state === 'expiring') return <Badge tone="warn" dot>Expires soon</Badge>;
  return <Badge>{state === 'expired' ? 'Expired' : 'Revoked'}</Badge>;
}

const works = (state: State) => state === 'active' || state === 'expiring';

const LIFETIMES = [
  { value: '', label: 'Never' },
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
  { value: 'date', label: 'On a date…' },
];

// The end of that day where the reader is.
const endOf = (date: string) => new Date(`${date}T23:59:59`);

function expiry(lifetime: string, date: string): string | undefined {
  if (!lifetime) return undefined;
  if (lifetime === 'date') return endOf(date).toISOString();
  return new Date(Date.now() + Number(lifetime) * DAY_MS).toISOString();
}

function CreateDialog({ onClose, onCreated }: { onClose: () => void; onCreated: (key: ApiKey) => void }) {
  const [name, setName] = useState(''), [lifetime, setLifetime] = useState('90'), [date, setDate] = useState('');
  const [busy, setBusy] = useState(false), [error, setError] = useState<ApiError>();
  const dateError = lifetime === 'date' && (!date || endOf(date).getTime() < Date.now());
  const submit = async () => {
    if (!name.trim() || dateError || busy) return;
    setBusy(true);
    try {
      const expiresAt = expiry(lifetime, date);
      onCreated(await keys.create({ name: name.trim(), ...(expiresAt && { expiresAt }) }));
    } catch (e) {
      setError(e as ApiError);
      setBusy(false);
    }
  };
  const ofField = error?.field === 'name' || error?.field === 'expiresAt';
  return (
    <Dialog
      title="Create an API key" onClose={onClose} onSubmit={submit}
      footer={<>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" busy={busy} disabled={!name.trim() || dateError}>Create</Button>
      </>}
    >
      <TextField label="Name" value={name} onInput={setName} maxLength={128} autofocus hint="What uses it: a program, a machine, a person"
        error={error?.field === 'name' ? error.message : undefined} />
      <Select label="Expires" value={lifetime} options={LIFETIMES} onInput={setLifetime}
        error={error?.field === 'expiresAt' ? error.message : undefined} />
      {lifetime === 'date' && (
        <TextField label="Last day" type="date" value={date} onInput={setDate} error={date && dateError ? 'This day is over.' : undefined} />
      )}
      {error && !ofField && <p class="field-error" role="alert">{error.message}</p>}
    </Dialog>
  );
}

function revoke(key: ApiKey, done: () => void) {
  void confirm({
    title: `Revoke ${key.name || key.prefix}?`,
    text: 'Whoever uses it is refused from this moment on, and sessions that were begun with it end. This cannot be undone.',
    action: 'Revoke the key',
    danger: true,
    run: () => keys.revoke(key.id),
  }).then((yes) => { if (yes) { toast.done('The key is revoked'); done(); } });
}

const when = (time: string | null) => (time ? Date.parse(time) : 0);

function columns(now: number, reload: () => void): Column<ApiKey>[] {
  return [
    {
      key: 'name', label: 'Name', card: 'title', sort: (k) => k.name,
      render: (k) => <div class="cell-name"><strong>{k.name || 'No name'}</strong><code class="muted">{k.prefix}…</code></div>,
    },
    { key: 'state', label: 'State', sort: (k) => stateOf(k, now), render: (k) => <StateBadge state={stateOf(k, now)} /> },
    { key: 'created', label: 'Created', sort: (k) => -when(k.createdAt), render: (k) => <Age time={k.createdAt} suffix=" ago" /> },
    {
      key: 'used', label: 'Last used', sort: (k) => -when(k.lastUsedAt),
      render: (k) => (k.lastUsedAt ? <Age time={k.lastUsedAt} suffix=" ago" /> : <span class="muted">Never</span>),
    },
    {
      key: 'ends', label: 'Expires', sort: (k) => when(k.expiresAt) || Infinity,
      render: (k) => (k.revokedAt ? <span class="muted">Revoked <Age time={k.revokedAt} suffix=" ago" /></span>
        : k.expiresAt ? <span class="num">{dateTime(k.expiresAt)}</span> : <span class="muted">Never</span>),
    },
    {
      key: 'actions', label: 'Actions', hideLabel: true, align: 'right', card: 'actions',
      render: (k) => works(stateOf(k, now))
        && <Menu label={`Actions for ${k.name || k.prefix}`} items={[{ label: 'Revoke', icon: 'trash', danger: true, onSelect: () => revoke(k, reload) }]} />,
    },
  ];
}

export function KeysPage(_: { params: Record<string, string> }) {
  const list = useQuery('keys', keys.list, { everyMs: POLL_MS, onEvent: (e) => e.type.startsWith('key.') });
  const [creating, setCreating] = useState(false), [made, setMade] = useState<ApiKey>();
  const [shown, setShown] = useState<'active' | 'all'>('active'), [text, setText] = useState('');
  const now = useNow();
  useCommands('API keys', () => [{ label: 'Create an API key', icon: 'plus', keys: 'n', run: () => setCreating(true) }], []);

  const all = list.data ?? [];
  const words = text.trim().toLowerCase();
  const rows = all.filter((k) => (shown === 'all' || works(stateOf(k, now))) && `${k.name} ${k.prefix}`.toLowerCase().includes(words));
  const create = <Button variant="primary" icon="plus" onClick={() => setCreating(true)}>Create key</Button>;
  return (
    <>
      <PageHeader title="API keys" subtitle={<>What programs use instead of signing in, as <span class="nowrap">X-API-Key</span> or a bearer token</>} actions={create} />
      {list.error && <ErrorBox error={list.error} retry={list.reload} />}
      {list.loading ? <Loading /> : list.data && (
        <>
          <div class="toolbar">
            <Search label="Filter keys" value={text} onInput={setText} />
            <Segmented label="Which keys" value={shown} onInput={setShown} options={[{ value: 'active', label: 'Active' }, { value: 'all', label: 'All' }]} />
          </div>
          <Table
            label="API keys" rows={rows} columns={columns(now, list.reload)} rowKey={(k) => k.id} initialSort={{ key: 'created', down: false }}
            empty={all.length === 0
              ? <Empty icon="keys" title="No keys yet" actions={create}>A key lets a program use Holm as you.</Empty>
              : <Empty icon="search" title="No key is like that">Clear the filter, or show all of them.</Empty>}
          />
        </>
      )}
      {creating && (
        <CreateDialog onClose={() => setCreating(false)} onCreated={(key) => { setCreating(false); setMade(key); list.reload(); }} />
      )}
      {made?.apiKey && (
        <SecretDialog title={`The key ${made.name}`} label="API key" secret={made.apiKey} onClose={() => setMade(undefined)}>
          <pre class="example" tabIndex={0}><code>{`curl ${window.location.origin}/native/v1/vms \\\n    -H "X-API-Key: ${made.prefix}…"`}</code></pre>
        </SecretDialog>
      )}
    </>
  );
}

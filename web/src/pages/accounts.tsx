// SPDX-License-Identifier: Apache-2.0
// Accounts, what each may use and what it uses. For administrators.

import './parts/manage.css';

import { useState } from 'preact/hooks';

import { accounts, type Account, type AccountKey, type Amounts } from '../api/accounts';
import { me, type ApiError } from '../api/client';
import { useQuery } from '../api/query';
import { useCommands } from '../commands';
import { mib, plural } from '../format';
import { useStore } from '../store';
import {
  Age, Badge, Button, Dialog, ErrorBox, Id, Loading, Menu, Meter, PageHeader, Table, TextField, confirm, prompt, toast, type Column,
} from '../ui';
import { SecretDialog } from './parts/secret';

const POLL_MS = 10_000;

const ROWS: { key: keyof Amounts; label: string; hint: string; show: (n: number) => string }[] = [
  { key: 'vcpu', label: 'vCPUs', hint: 'Of VMs that run or are paused', show: String },
  { key: 'memoryMiB', label: 'Memory, MiB', hint: 'Likewise', show: mib },
  { key: 'diskGiB', label: 'Disk, GiB', hint: 'Of all its VMs', show: (n) => `${Math.round(n * 10) / 10} GiB` },
  { key: 'snapshotCount', label: 'Snapshots', hint: '', show: String },
];

// --- Making and changing one ---

type Texts = Record<keyof Amounts, string>;

const textsOf = (q?: Amounts): Texts => {
  const text = (n: number | undefined) => (n ? String(n) : '');
  return { vcpu: text(q?.vcpu), memoryMiB: text(q?.memoryMiB), diskGiB: text(q?.diskGiB), snapshotCount: text(q?.snapshotCount) };
};

const problemOf = (text: string, key: keyof Amounts) => {
  if (text.trim() === '') return undefined;
  const n = Number(text);
  if (!(n >= 0)) return 'A number, or nothing.';
  return key !== 'diskGiB' && !Number.isInteger(n) ? 'A whole number, or nothing.' : undefined;
};

function EditDialog({ account, onClose, onSaved }: { account?: Account; onClose: () => void; onSaved: () => void }) {
  const [name, setName] = useState(account?.name ?? ''), [texts, setTexts] = useState(textsOf(account?.quotas));
  const [busy, setBusy] = useState(false), [error, setError] = useState<ApiError>();
  const complete = name.trim() !== '' && ROWS.every((r) => !problemOf(texts[r.key], r.key));
  const submit = async () => {
    if (!complete || busy) return;
    setBusy(true);
    // An account to be made takes the configuration's quotas where none are given; one that is there, no bound.
    const given = ROWS.filter((r) => account || texts[r.key].trim() !== '');
    const quotas = Object.fromEntries(given.map((r) => [r.key, Number(texts[r.key] || 0)])) as Partial<Amounts>;
    try {
      await (account ? accounts.update(account.id, { name: name.trim(), quotas }) : accounts.create({ name: name.trim(), quotas }));
      onSaved();
    } catch (e) {
      setError(e as ApiError);
      setBusy(false);
    }
  };
  const fieldError = (key: string) => (error?.field?.split('.').at(-1) === key ? error.message : undefined);
  return (
    <Dialog
      title={account ? `Change ${account.name}` : 'Add an account'} onClose={onClose} onSubmit={submit}
      footer={<>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" busy={busy} disabled={!complete}>{account ? 'Save' : 'Add'}</Button>
      </>}
    >
      <TextField label="Name" value={name} maxLength={128} autofocus onInput={setName} error={fieldError('name')} />
      <p class="hint">What it may use. Empty: {account ? 'no bound but the host’s.' : 'as the daemon is configured.'}</p>
      <div class="form-grid">
        {ROWS.map((r) => (
          <TextField key={r.key} label={r.label} hint={r.hint} inputMode="decimal" value={texts[r.key]} onInput={(t) => setTexts({ ...texts, [r.key]: t })}
            error={problemOf(texts[r.key], r.key) ?? fieldError(r.key)} />
        ))}
      </div>
      {error && !error.field && <p class="field-error" role="alert">{error.message}</p>}
    </Dialog>
  );
}

// --- The list ---

function Use({ used, most, label, show }: { used: number; most: number; label: string; show: (n: number) => string }) {
  return (
    <div class="use">
      <span class="num">{show(used)} <span class="muted">{most ? `of ${show(most)}` : '∞'}</span></span>
      {most > 0 ? <Meter value={used} max={most} label={label} /> : null}
    </div>
  );
}

interface Actions {
  edit: (a: Account) => void;
  key: (a: Account) => void;
  remove: (a: Account) => void;
}

function columns(mine: string | undefined, actions: Actions): Column<Account>[] {
  return [
    {
      key: 'name', label: 'Name', card: 'title', sort: (a) => a.name,
      render: (a) => (
        <div class="cell-name">
          <span class="row"><strong>{a.name}</strong>{a.admin && <Badge tone="accent">Administrator</Badge>}{a.id === mine && <Badge>You</Badge>}</span>
          <Id id={a.id} />
        </div>
      ),
    },
    ...ROWS.map((r): Column<Account> => ({
      key: r.key, label: r.label.split(',')[0], sort: (a) => a.usage[r.key],
      render: (a) => <Use used={a.usage[r.key]} most={a.quotas[r.key]} label={`${r.label.split(',')[0]} of ${a.name}`} show={r.show} />,
    })),
    { key: 'age', label: 'Created', align: 'right', sort: (a) => -Date.parse(a.createdAt), render: (a) => <Age time={a.createdAt} suffix=" ago" /> },
    {
      key: 'actions', label: 'Actions', hideLabel: true, align: 'right', card: 'actions',
      render: (a) => (
        <Menu label={`Actions for ${a.name}`} items={[
          { label: 'Change', icon: 'edit', onSelect: () => actions.edit(a) },
          { label: 'Create a key for it', icon: 'keys', onSelect: () => actions.key(a) },
          { label: 'Delete', icon: 'trash', danger: true, separated: true, disabled: a.id === mine, onSelect: () => actions.remove(a) },
        ]} />
      ),
    },
  ];
}

function remove(a: Account, done: () => void) {
  void confirm({
    title: `Delete ${a.name}?`, text: 'Its keys end at once. It must have no VMs and no snapshots any more. This cannot be undone.',
    action: 'Delete the account', danger: true, run: () => accounts.remove(a.id),
  }).then((yes) => { if (yes) { toast.done('The account is deleted'); done(); } });
}

export function AccountsPage(_: { params: Record<string, string> }) {
  const query = useQuery('accounts', accounts.list, { everyMs: POLL_MS, onEvent: (e) => /^(account|vm|snapshot)\./.test(e.type) });
  const who = useStore(me);
  const [editing, setEditing] = useState<Account | 'new'>(), [made, setMade] = useState<AccountKey>();
  useCommands('Accounts', () => [{ label: 'Add an account', icon: 'plus', keys: 'n', run: () => setEditing('new') }], []);
  const createKey = (a: Account) => {
    let key: AccountKey | undefined;
    void prompt({
      title: `A key for ${a.name}`, action: 'Create', field: { label: 'Name', value: '', hint: 'What uses it: a program, a machine, a person' },
      run: async (name) => { key = await accounts.createKey(a.id, name.trim()); },
    }).then((name) => { if (name !== null) setMade(key); });
  };
  const actions: Actions = { edit: setEditing, key: createKey, remove: (a) => remove(a, query.reload) };
  return (
    <>
      <PageHeader
        title="Accounts" subtitle={query.data ? `${plural(query.data.length, 'account')}. Each has VMs, snapshots and keys of its own` : undefined}
        actions={<Button variant="primary" icon="plus" onClick={() => setEditing('new')}>Add account</Button>}
      />
      {query.error && <ErrorBox error={query.error} retry={query.reload} />}
      {query.loading ? <Loading /> : query.data && (
        <Table label="Accounts" rows={query.data} columns={columns(who?.accountId, actions)} rowKey={(a) => a.id} onOpen={setEditing}
          initialSort={{ key: 'name', down: false }} />
      )}
      {editing && (
        <EditDialog key={editing === 'new' ? 'new' : editing.id} account={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)}
          onSaved={() => { toast.done(editing === 'new' ? 'The account is there' : 'The account is changed'); setEditing(undefined); query.reload(); }} />
      )}
      {made?.key && <SecretDialog title={`The key ${made.name}`} label="API key" secret={made.key} onClose={() => setMade(undefined)} />}
    </>
  );
}

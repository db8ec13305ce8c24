// SPDX-License-Identifier: Apache-2.0
// Webhooks: which URLs are told of what happens, and how the last telling went.

import './parts/manage.css';

import { useState } from 'preact/hooks';

import type { ApiError } from '../api/client';
import { useQuery } from '../api/query';
import { webhooks, type Webhook } from '../api/rds';
import { useCommands } from '../commands';
import { plural } from '../format';
import {
  Age, Badge, Button, Check, Dialog, Empty, ErrorBox, Loading, Menu, PageHeader, Segmented, Table, TextField, confirm, toast, type Column,
} from '../ui';
import { SecretDialog } from './parts/secret';

// Deliveries are no events, unless they failed for good.
const POLL_MS = 5000;

// --- Making and changing one ---

interface Draft {
  name: string;
  url: string;
  enabled: boolean;
  eventTypes: string[];
}

// "vm.created" and the like, by what they are about.
function grouped(types: string[]): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const t of types) {
    const about = t.split('.')[0];
    groups.set(about, [...(groups.get(about) ?? []), t]);
  }
  return [...groups];
}

function TypeChoice({ types, chosen, onInput }: { types: string[]; chosen: string[]; onInput: (chosen: string[]) => void }) {
  const toggle = (some: string[], on: boolean) =>
    onInput(types.filter((t) => (some.includes(t) ? on : chosen.includes(t))));
  return (
    <div class="type-choice" role="group" aria-label="Events">
      <div>
        {grouped(types).map(([about, some]) => {
          const count = some.filter((t) => chosen.includes(t)).length;
          return (
            <fieldset key={about}>
              <legend>
                <Check label={about} checked={count === some.length} onInput={(on) => toggle(some, on)} />
              </legend>
              {some.map((t) => (
                <Check key={t} label={<code>{t}</code>} checked={chosen.includes(t)} onInput={(on) => toggle([t], on)} />
              ))}
            </fieldset>
          );
        })}
      </div>
    </div>
  );
}

function isUrl(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

function EditDialog({ hook, onClose, onSaved }: { hook?: Webhook; onClose: () => void; onSaved: (hook: Webhook) => void }) {
  const types = useQuery('webhook-types', webhooks.types);
  const [draft, setDraft] = useState<Draft>(hook
    ? { name: hook.name, url: hook.url, enabled: hook.enabled, eventTypes: hook.eventTypes }
    : { name: '', url: '', enabled: true, eventTypes: [] });
  const [some, setSome] = useState(draft.eventTypes.length > 0);
  const [busy, setBusy] = useState(false), [error, setError] = useState<ApiError>();
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });

  const badUrl = draft.url !== '' && !isUrl(draft.url);
  const complete = draft.name.trim() !== '' && isUrl(draft.url) && (!some || draft.eventTypes.length > 0);
  const submit = async () => {
    if (!complete || busy) return;
    setBusy(true);
    const body = { ...draft, name: draft.name.trim(), eventTypes: some ? draft.eventTypes : [] };
    try {
      onSaved(await (hook ? webhooks.update(hook.id, body) : webhooks.create(body)));
    } catch (e) {
      setError(e as ApiError);
      setBusy(false);
    }
  };
  const fieldError = (name: string) => (error?.field === name ? error.message : undefined);
  return (
    <Dialog
      title={hook ? `Change ${hook.name}` : 'Add a webhook'} wide={some} onClose={onClose} onSubmit={submit}
      footer={<>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" busy={busy} disabled={!complete}>{hook ? 'Save' : 'Add'}</Button>
      </>}
    >
      <TextField label="Name" value={draft.name} maxLength={128} autofocus onInput={(name) => set({ name })} error={fieldError('name')} />
      <TextField label="URL" type="url" value={draft.url} placeholder="https://example.com/hook" onInput={(url) => set({ url })}
        hint="Each event is sent there by POST, as JSON" error={fieldError('url') ?? (badUrl ? 'It must begin with http:// or https://' : undefined)} />
      <div class="field">
        <span class="field-label">Events</span>
        <Segmented label="Events" value={some ? 'some' : 'all'} onInput={(v) => setSome(v === 'some')}
          options={[{ value: 'all', label: 'All, also those to come' }, { value: 'some', label: 'Only some' }]} />
        {fieldError('eventTypes') && <p class="field-error" role="alert">{fieldError('eventTypes')}</p>}
      </div>
      {some && (types.error ? <ErrorBox error={types.error} retry={types.reload} />
        : types.data ? <TypeChoice types={types.data} chosen={draft.eventTypes} onInput={(eventTypes) => set({ eventTypes })} />
        : <Loading rows={3} />)}
      <Check label="Enabled" checked={draft.enabled} onInput={(enabled) => set({ enabled })} hint="While it is not, events are not kept for it" />
      {error && !error.field && <p class="field-error" role="alert">{error.message}</p>}
    </Dialog>
  );
}

// --- The list ---

function Delivery({ hook }: { hook: Webhook }) {
  if (!hook.lastTriedAt) return <span class="muted">Nothing sent yet</span>;
  const well = !hook.lastError && hook.lastStatus !== null && hook.lastStatus >= 200 && hook.lastStatus < 300;
  return (
    <div class="delivery">
      <div class="row">
        <Badge tone={well ? 'good' : 'bad'} dot>{well ? `Delivered, ${hook.lastStatus}` : hook.lastStatus ? `Failed, ${hook.lastStatus}` : 'Failed'}</Badge>
        <span class="muted"><Age time={hook.lastTriedAt} suffix=" ago" /></span>
      </div>
      {!well && hook.lastError && <p class="delivery-error">{hook.lastError}</p>}
    </div>
  );
}

async function setEnabled(hook: Webhook, enabled: boolean, done: () => void) {
  try {
    await webhooks.update(hook.id, { enabled });
    toast.done(enabled ? `${hook.name} is told of events again` : `${hook.name} is told of nothing any more`);
    done();
  } catch (e) {
    toast.error(e);
  }
}

function remove(hook: Webhook, done: () => void) {
  void confirm({
    title: `Delete ${hook.name}?`, text: <>Nothing is sent to <code>{hook.url}</code> any more.</>, action: 'Delete the webhook', danger: true,
    run: () => webhooks.remove(hook.id),
  }).then((yes) => { if (yes) { toast.done('The webhook is deleted'); done(); } });
}

function columns(edit: (hook: Webhook) => void, reload: () => void): Column<Webhook>[] {
  return [
    {
      key: 'name', label: 'Name', card: 'title', sort: (w) => w.name,
      render: (w) => <div class="cell-name"><strong>{w.name}</strong><code class="muted url">{w.url}</code></div>,
    },
    {
      key: 'state', label: 'State', sort: (w) => Number(!w.enabled),
      render: (w) => (w.enabled ? <Badge tone="good" dot>Enabled</Badge> : <Badge>Disabled</Badge>),
    },
    {
      key: 'events', label: 'Events', sort: (w) => w.eventTypes.length,
      render: (w) => (w.eventTypes.length === 0 ? 'All'
        : w.eventTypes.length < 3 ? <code>{w.eventTypes.join(' ')}</code>
        : <span title={w.eventTypes.join(' ')}>{plural(w.eventTypes.length, 'type')}</span>),
    },
    { key: 'last', label: 'Last delivery', sort: (w) => -Date.parse(w.lastTriedAt ?? '1970'), render: (w) => <Delivery hook={w} /> },
    {
      key: 'actions', label: 'Actions', hideLabel: true, align: 'right', card: 'actions',
      render: (w) => (
        <Menu label={`Actions for ${w.name}`} items={[
          { label: 'Change', icon: 'edit', onSelect: () => edit(w) },
          { label: w.enabled ? 'Disable' : 'Enable', icon: w.enabled ? 'pause' : 'play', onSelect: () => void setEnabled(w, !w.enabled, reload) },
          { label: 'Delete', icon: 'trash', danger: true, separated: true, onSelect: () => remove(w, reload) },
        ]} />
      ),
    },
  ];
}

export function WebhooksPage(_: { params: Record<string, string> }) {
  const list = useQuery('webhooks', webhooks.list, { everyMs: POLL_MS, onEvent: (e) => e.type.startsWith('webhook.') });
  const [editing, setEditing] = useState<Webhook | 'new'>(), [made, setMade] = useState<Webhook>();
  useCommands('Webhooks', () => [{ label: 'Add a webhook', icon: 'plus', keys: 'n', run: () => setEditing('new') }], []);
  const add = <Button variant="primary" icon="plus" onClick={() => setEditing('new')}>Add webhook</Button>;
  const saved = (hook: Webhook) => {
    setEditing(undefined);
    if (hook.secret) setMade(hook); else toast.done('The webhook is changed');
    list.reload();
  };
  return (
    <>
      <PageHeader title="Webhooks" subtitle="URLs that are told of what happens" actions={add} />
      {list.error && <ErrorBox error={list.error} retry={list.reload} />}
      {list.loading ? <Loading /> : list.data && (
        <Table
          label="Webhooks" rows={list.data} columns={columns(setEditing, list.reload)} rowKey={(w) => w.id} onOpen={setEditing}
          initialSort={{ key: 'name', down: false }}
          empty={<Empty icon="webhooks" title="No webhooks yet" actions={add}>A program of yours can be told when a VM is created, stops, or fails.</Empty>}
        />
      )}
      {editing && (
        <EditDialog key={editing === 'new' ? 'new' : editing.id} hook={editing === 'new' ? undefined : editing}
          onClose={() => setEditing(undefined)} onSaved={saved} />
      )}
      {made?.secret && (
        <SecretDialog title={`The secret of ${made.name}`} label="Webhook secret" secret={made.secret} onClose={() => setMade(undefined)}>
          <p class="dialog-text">
            Each request has a header <code>X-Holm-Signature: sha256=HEX</code>, the HMAC-SHA-256 of its body by this secret. Compare it before you believe the request.
          </p>
        </SecretDialog>
      )}
    </>
  );
}

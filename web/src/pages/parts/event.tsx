// SPDX-License-Identifier: Apache-2.0
// One event as a line: when, what, about which thing.

import { useId, useState } from 'preact/hooks';

import type { ActivityEvent } from '../../api/rds';
import { dateTime } from '../../format';
import { Link } from '../../router';
import { Icon, IconButton, type IconName } from '../../ui';

// Two lists by number, newest first, each event once.
export function mergeEvents(a: ActivityEvent[], b: ActivityEvent[]): ActivityEvent[] {
  const byId = new Map([...a, ...b].map((e) => [e.id, e]));
  return [...byId.values()].sort((x, y) => y.id - x.id);
}

export const aboutOf = (type: string) => type.split('.')[0];

const ICONS: Record<string, IconName> = {
  vm: 'vms', snapshot: 'snapshots', image: 'images', key: 'keys', account: 'accounts', session: 'user', webhook: 'webhooks',
};

// What went wrong stands out; all else is calm.
const BAD = new Set(['vm.lost', 'session.failed', 'webhook.failed']);

function placeOf(e: ActivityEvent): string | undefined {
  if (e.type.endsWith('.deleted') || !e.entityId) return undefined;
  return {
    vm: `/vms/${e.entityId.replace(/^vm-/, '')}`, snapshot: '/snapshots', image: '/images', key: '/keys', account: '/accounts', webhook: '/webhooks',
  }[aboutOf(e.type)];
}

export function EventLine({ event, time, details }: { event: ActivityEvent; time: string; details?: boolean }) {
  const [open, setOpen] = useState(false), id = useId();
  const place = placeOf(event);
  return (
    <li class={BAD.has(event.type) ? 'is-bad' : ''}>
      <time title={dateTime(event.createdAt)} dateTime={event.createdAt}>{time}</time>
      <Icon name={BAD.has(event.type) ? 'warning' : ICONS[aboutOf(event.type)] ?? 'activity'} />
      <span class="feed-text">{place ? <Link href={place}>{event.message || event.type}</Link> : event.message || event.type}</span>
      {details && <code class="feed-type">{event.type}</code>}
      {details && (
        <IconButton small icon="right" class={open ? 'is-open' : ''} label={open ? 'Hide details' : 'Show details'} aria-expanded={open}
          aria-controls={open ? id : undefined} onClick={() => setOpen(!open)} />
      )}
      {open && <pre id={id} class="feed-detail" tabIndex={0}><code>{JSON.stringify(event, null, 2)}</code></pre>}
    </li>
  );
}

// SPDX-License-Identifier: Apache-2.0
// What has happened, newest first, and what happens now.

import './parts/manage.css';

import { useEffect, useMemo, useState } from 'preact/hooks';

import { messageOf } from '../api/client';
import { live, onActivity } from '../api/events';
import { activity, type ActivityEvent } from '../api/rds';
import { clock, dateTime, toMs } from '../format';
import { useStore } from '../store';
import { Badge, Button, Empty, ErrorBox, Loading, PageHeader, Search, SelectBox } from '../ui';
import { EventLine, aboutOf, mergeEvents } from './parts/event';

const PAGE = 100;
// Loading on until something fits the filter goes so far, then asks again.
const PAGES_AT_ONCE = 5;

interface Feed {
  events: ActivityEvent[]; // newest first
  loading: boolean;
  error?: string;
  atEnd: boolean;
}

function useFeed(): Feed & { older: (fits: (e: ActivityEvent) => boolean) => Promise<void>; retry: () => void } {
  const [feed, setFeed] = useState<Feed>({ events: [], loading: true, atEnd: false });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    // Listening first: what happens while the list is loaded is in one of both.
    const end = onActivity((e) => setFeed((f) => ({ ...f, events: mergeEvents(f.events, [e]) })));
    activity({ limit: PAGE }, abort.signal).then(
      (events) => setFeed((f) => ({ events: mergeEvents(f.events, events), loading: false, atEnd: events.length < PAGE })),
      (e) => { if (!abort.signal.aborted) setFeed((f) => ({ ...f, loading: false, error: messageOf(e) })); });
    return () => { abort.abort(); end(); };
  }, [round]);

  const older = async (fits: (e: ActivityEvent) => boolean) => {
    setFeed((f) => ({ ...f, loading: true, error: undefined }));
    let before = feed.events.at(-1)?.id;
    try {
      for (let i = 0; i < PAGES_AT_ONCE; i++) {
        const events = await activity({ limit: PAGE, before });
        const atEnd = events.length < PAGE;
        setFeed((f) => ({ ...f, events: mergeEvents(f.events, events), atEnd }));
        if (atEnd || events.some(fits)) break;
        before = events.at(-1)!.id;
      }
      setFeed((f) => ({ ...f, loading: false }));
    } catch (e) {
      setFeed((f) => ({ ...f, loading: false, error: messageOf(e) }));
    }
  };
  const retry = () => { setFeed({ events: [], loading: true, atEnd: false }); setRound(round + 1); };
  return { ...feed, older, retry };
}

const ABOUT_LABELS: Record<string, string> = {
  vm: 'VMs', snapshot: 'Snapshots', image: 'Images', key: 'API keys', account: 'Accounts', session: 'Signing in', webhook: 'Webhooks',
};

function typeOptions(events: ActivityEvent[]) {
  const abouts = Object.keys(ABOUT_LABELS);
  const types = [...new Set(events.map((e) => e.type))].sort();
  return [
    { value: '', label: 'All events' },
    ...abouts.flatMap((a) => [
      { value: `${a}.`, label: ABOUT_LABELS[a] },
      ...types.filter((t) => aboutOf(t) === a).map((t) => ({ value: t, label: `   ${t}` })),
    ]),
  ];
}

const dayOf = (time: string) => dateTime(time).slice(0, 10);

function dayName(day: string): string {
  const today = dayOf(new Date().toISOString());
  const yesterday = dayOf(new Date(Date.now() - 86_400_000).toISOString());
  return day === today ? 'Today' : day === yesterday ? 'Yesterday' : day;
}

function Days({ events }: { events: ActivityEvent[] }) {
  const days = new Map<string, ActivityEvent[]>();
  for (const e of events) {
    const day = dayOf(e.createdAt);
    days.set(day, [...(days.get(day) ?? []), e]);
  }
  return (
    <>
      {[...days].map(([day, some]) => (
        <section class="feed-day" key={day} aria-label={dayName(day)}>
          <h2>{dayName(day)}</h2>
          <ol class="feed">
            {some.map((e) => <EventLine key={e.id} event={e} time={clock(toMs(e.createdAt))} details />)}
          </ol>
        </section>
      ))}
    </>
  );
}

export function ActivityPage(_: { params: Record<string, string> }) {
  const feed = useFeed(), isLive = useStore(live);
  const [type, setType] = useState(''), [text, setText] = useState('');
  const words = text.trim().toLowerCase();
  const fits = (e: ActivityEvent) => e.type.startsWith(type)
    && `${e.type} ${e.name} ${e.message} ${e.entityId ?? ''}`.toLowerCase().includes(words);
  const shown = useMemo(() => feed.events.filter(fits), [feed.events, type, words]);
  const options = useMemo(() => typeOptions(feed.events), [feed.events]);
  return (
    <>
      <PageHeader
        title="Activity" subtitle="What has happened to machines, snapshots, images, keys and accounts"
        actions={isLive ? <Badge tone="good" dot="pulse">Live</Badge> : <Badge tone="warn" dot>Connecting</Badge>}
      />
      <div class="toolbar">
        <Search label="Filter events" value={text} onInput={setText} />
        <SelectBox aria-label="Which events" value={type} options={options} onInput={setType} />
      </div>
      {feed.error && <ErrorBox error={feed.error} retry={feed.retry} />}
      {shown.length > 0 && <Days events={shown} />}
      {feed.loading ? <Loading rows={shown.length ? 2 : 6} /> : !feed.error && (
        shown.length === 0 && feed.atEnd
          ? <Empty icon={feed.events.length ? 'search' : 'activity'} title={feed.events.length ? 'No event is like that' : 'Nothing has happened yet'}>
              {feed.events.length ? 'Clear the filter to see the others.' : 'Create a VM, and it is told here.'}
            </Empty>
          : <div class="feed-foot">
              {feed.atEnd ? <span class="muted">This is the first that is kept.</span>
                : <Button onClick={() => void feed.older(fits)}>{shown.length ? 'Load older' : 'Look further back'}</Button>}
            </div>
      )}
    </>
  );
}

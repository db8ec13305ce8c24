// SPDX-License-Identifier: Apache-2.0
// How the machine that Holm runs on is doing.

import './parts/manage.css';

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { onActivity } from '../api/events';
import { useQuery } from '../api/query';
import { activity, overview, type ActivityEvent, type Overview } from '../api/rds';
import { age, bytes, dateTime, duration, percent, plural } from '../format';
import { Link } from '../router';
import { createStore, useStore } from '../store';
import { Empty, ErrorBox, Facts, Loading, Meter, PageHeader, Panel, useNow, type IconName, Icon } from '../ui';
import { EventLine, mergeEvents } from './parts/event';
import { Spark } from './parts/spark';

const POLL_MS = 3000, KEEP = 100, RECENT = 12;

// What was seen since the page was loaded; it goes on while other pages are shown.
const seen = createStore<{ cpu: number; memory: number }[]>([]);

function note(o: Overview) {
  const sample = { cpu: o.cpu.usedCores, memory: o.memory.usedBytes };
  seen.set([...seen.get(), sample].slice(-KEEP));
}

const share = (part: number, all: number) => (all > 0 ? part / all : 0);

function Tile({ title, value, of, max, used, children, spark }: {
  title: string; value: string; of: string; used: number; max: number; children: ComponentChildren; spark?: ComponentChildren;
}) {
  return (
    <section class="tile" aria-label={title}>
      <div class="tile-head"><h2>{title}</h2><span class="num">{percent(share(used, max))}</span></div>
      <p class="tile-value num"><strong>{value}</strong> <span class="muted">of {of}</span></p>
      {spark}
      <Meter value={used} max={max} label={`${title} in use`} />
      <p class="muted">{children}</p>
    </section>
  );
}

function Tiles({ o }: { o: Overview }) {
  const samples = useStore(seen);
  const cores = o.cpu.usedCores.toFixed(1);
  return (
    <div class="tiles">
      <Tile title="CPU" value={cores} of={plural(o.cpu.capacityCores, 'core')} used={o.cpu.usedCores} max={o.cpu.capacityCores}
        spark={<Spark label="CPU over the last minutes" values={samples.map((s) => s.cpu)} max={o.cpu.capacityCores} />}>
        All of the machine, not only Holm
      </Tile>
      <Tile title="Memory" value={bytes(o.memory.usedBytes)} of={bytes(o.memory.capacityBytes)} used={o.memory.usedBytes} max={o.memory.capacityBytes}
        spark={<Spark label="Memory over the last minutes" tone={2} values={samples.map((s) => s.memory)} max={o.memory.capacityBytes} />}>
        {bytes(o.memory.promisedBytes)} promised to VMs
      </Tile>
      <Tile title="Storage" value={bytes(o.storage.usedBytes)} of={bytes(o.storage.capacityBytes)} used={o.storage.usedBytes} max={o.storage.capacityBytes}>
        {bytes(o.storage.holmBytes)} of it are Holm's
      </Tile>
    </div>
  );
}

function Count({ href, icon, n, label }: { href: string; icon: IconName; n: number; label: string }) {
  return (
    <Link class="count" href={href}>
      <Icon name={icon} /><strong class="num">{n}</strong><span>{label}</span>
    </Link>
  );
}

function Counts({ o }: { o: Overview }) {
  const c = o.counts;
  return (
    <nav class="counts" aria-label="What there is">
      <Count href="/vms" icon="play" n={c.activeVms} label={c.activeVms === 1 ? 'VM is active' : 'VMs are active'} />
      <Count href="/vms" icon="vms" n={c.vms} label={c.vms === 1 ? 'VM in all' : 'VMs in all'} />
      <Count href="/snapshots" icon="snapshots" n={c.snapshots} label={c.snapshots === 1 ? 'snapshot' : 'snapshots'} />
      <Count href="/images" icon="images" n={c.images} label={c.images === 1 ? 'image' : 'images'} />
    </nav>
  );
}

function Recent() {
  const now = useNow(), [fresh, setFresh] = useState<ActivityEvent[]>([]);
  const events = useQuery('recent-activity', (signal) => activity({ limit: RECENT }, signal), { everyMs: 60_000 });
  // What comes in is shown as it is: loading the list for each of many events would use up the rate limit.
  useEffect(() => onActivity((e) => setFresh((some) => mergeEvents(some, [e]).slice(0, RECENT))), []);
  if (events.loading) return <Loading />;
  if (events.error && !events.data) return <ErrorBox error={events.error} retry={events.reload} />;
  const shown = mergeEvents(events.data ?? [], fresh).slice(0, RECENT);
  if (shown.length === 0) return <Empty icon="activity" title="Nothing has happened yet" />;
  return <ol class="feed is-short">{shown.map((e) => <EventLine key={e.id} event={e} time={age(e.createdAt, now)} />)}</ol>;
}

function Host({ o }: { o: Overview }) {
  const now = useNow();
  return (
    <Facts items={[
      ['Version', o.version],
      ['Running for', <span title={dateTime(o.startedAt)}>{duration((now - Date.parse(o.startedAt)) / 1000)}</span>],
      ['Templates', o.counts.templates],
      ['Processors', o.cpu.capacityCores],
      ['Address', <code>{window.location.host}</code>],
    ]} />
  );
}

export function OverviewPage(_: { params: Record<string, string> }) {
  const query = useQuery('overview', overview, { everyMs: POLL_MS });
  const o = query.data;
  useEffect(() => { if (o) note(o); }, [o]);
  return (
    <>
      <PageHeader title="Overview" subtitle="The machine that Holm runs on" />
      {query.error && <ErrorBox error={query.error} retry={query.reload} />}
      {query.loading ? <Loading /> : o && (
        <>
          <Counts o={o} />
          <Tiles o={o} />
          <div class="halves">
            <Panel title="Recent activity" actions={<Link href="/activity">All activity</Link>} flush><Recent /></Panel>
            <Panel title="Host"><Host o={o} /></Panel>
          </div>
        </>
      )}
    </>
  );
}

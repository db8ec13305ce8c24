// SPDX-License-Identifier: Apache-2.0
// The frame around all pages: who is logged in, navigation, theme, messages, shortcuts.

import type { ComponentType } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { loadMe, logout, me, messageOf, offline, retryNow } from './api/client';
import { CommandLayer, helpOpen, paletteOpen, useCommands, useShortcuts, type Command } from './commands';
import { LoginPage } from './pages/login';
import { VmsPage } from './pages/vms';
import { Link, match, navigate, ownUrl, useLocation } from './router';
import { useStore } from './store';
import { setTheme, theme, type Theme } from './theme';
import { Button, Empty, ErrorBox, Icon, IconButton, Loading, Menu, Questions, Spinner, Toasts, toast, type IconName } from './ui';

type Page = ComponentType<{ params: Record<string, string> }>;

interface Route {
  pattern: string;
  title: string;
  page?: Page;
  load?: () => Promise<Page>; // a chunk of its own
}

const ROUTES: Route[] = [
  { pattern: '/vms', title: 'VMs', page: VmsPage },
  { pattern: '/vms/:id/:tab?', title: 'VM', load: async () => (await import('./pages/vm')).VmPage },
  { pattern: '/overview', title: 'Overview', load: async () => (await import('./pages/overview')).OverviewPage },
  { pattern: '/snapshots', title: 'Snapshots', load: async () => (await import('./pages/snapshots')).SnapshotsPage },
  { pattern: '/images', title: 'Images', load: async () => (await import('./pages/images')).ImagesPage },
  { pattern: '/keys', title: 'API keys', load: async () => (await import('./pages/keys')).KeysPage },
  { pattern: '/activity', title: 'Activity', load: async () => (await import('./pages/activity')).ActivityPage },
  { pattern: '/webhooks', title: 'Webhooks', load: async () => (await import('./pages/webhooks')).WebhooksPage },
  { pattern: '/accounts', title: 'Accounts', load: async () => (await import('./pages/accounts')).AccountsPage },
];

// Addresses of pages that are called otherwise here. "/console" is run-dat-sheesh's.
const ALIASES: Record<string, string> = { '/': '/vms', '/console': '/vms' };

interface NavItem {
  href: string;
  label: string;
  icon: IconName;
  keys?: string;
  admin?: boolean;
  outside?: boolean; // not a page of this app
}

const NAV: { label: string; items: NavItem[] }[] = [
  { label: 'Machines', items: [
    { href: '/overview', label: 'Overview', icon: 'overview', keys: 'g o', admin: true },
    { href: '/vms', label: 'VMs', icon: 'vms', keys: 'g v' },
    { href: '/snapshots', label: 'Snapshots', icon: 'snapshots', keys: 'g s' },
    { href: '/images', label: 'Images', icon: 'images', keys: 'g i' },
  ] },
  { label: 'Manage', items: [
    { href: '/activity', label: 'Activity', icon: 'activity', keys: 'g a', admin: true },
    { href: '/keys', label: 'API keys', icon: 'keys', keys: 'g k' },
    { href: '/webhooks', label: 'Webhooks', icon: 'webhooks', keys: 'g w', admin: true },
    { href: '/accounts', label: 'Accounts', icon: 'accounts', keys: 'g u', admin: true },
  ] },
  { label: 'Learn', items: [
    { href: '/docs', label: 'Documentation', icon: 'docs', outside: true },
    { href: '/swagger', label: 'API explorer', icon: 'api', outside: true },
  ] },
];

const navOf = (admin: boolean) =>
  NAV.map((g) => ({ ...g, items: g.items.filter((i) => admin || !i.admin) }));

const isBelow = (path: string, href: string) => path === href || path.startsWith(`${href}/`);

// Where "/login" leads who is signed in.
function goOn(next: string | null) {
  const url = ownUrl(next);
  if (NAV.some((g) => g.items.some((i) => i.outside && isBelow(url.pathname, i.href)))) window.location.replace(url);
  else navigate(url.pathname + url.search + url.hash, { replace: true });
}

export function App() {
  const who = useStore(me), { path, query } = useLocation();
  const isLeaving = Boolean(who && match('/login', path));
  const [failed, setFailed] = useState<Error>();
  const load = () => { setFailed(undefined); loadMe().catch(setFailed); };
  useEffect(load, []);
  useEffect(() => {
    const alias = Object.keys(ALIASES).find((a) => match(a, path));
    if (alias) navigate(ALIASES[alias], { replace: true });
  }, [path]);
  useEffect(() => { if (isLeaving) goOn(query.get('next')); }, [isLeaving, query]);

  if (who === undefined || isLeaving) {
    return (
      <div class="splash">
        {failed ? <ErrorBox title="Holm cannot be reached" error={failed} retry={load} /> : <Spinner label="Loading" />}
      </div>
    );
  }
  return <>{who ? <Shell /> : <LoginPage />}<Questions /><Toasts /></>;
}

function usePage(route: Route | undefined): { page?: Page; error?: Error } {
  const [state, setState] = useState<{ route?: Route; page?: Page; error?: Error }>({});
  useEffect(() => {
    if (!route?.load) return undefined;
    let isCurrent = true;
    route.load().then(
      (page) => { if (isCurrent) setState({ route, page }); },
      (error) => { if (isCurrent) setState({ route, error }); });
    return () => { isCurrent = false; };
  }, [route]);
  if (route?.page) return { page: route.page };
  return state.route === route ? state : {};
}

function Shell() {
  const { path } = useLocation(), who = useStore(me)!;
  const [menuOpen, setMenuOpen] = useState(false);
  const main = useRef<HTMLElement>(null), firstPath = useRef(path);
  const route = ROUTES.find((r) => match(r.pattern, path));
  const params = route ? match(route.pattern, path)! : {};
  const { page: Page, error } = usePage(route);
  useShortcuts();
  useGlobalCommands(who.admin);

  useLayoutEffect(() => {
    if (!menuOpen) return undefined;
    const onKey = (e: KeyboardEvent) => { if (e.key === 'Escape') setMenuOpen(false); };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [menuOpen]);

  // A new page: its name in the title, and the focus at its beginning. A tab of the same page is none.
  const place = route?.pattern.includes(':') ? `${route.pattern} ${params.id}` : route?.pattern;
  useEffect(() => {
    setMenuOpen(false);
    document.title = route ? `${route.title} · Holm` : 'Holm';
    if (firstPath.current !== path) main.current?.focus({ preventScroll: true });
    firstPath.current = '';
  }, [place]);

  return (
    <div class={`shell ${menuOpen ? 'menu-is-open' : ''}`}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>Skip to the page</a>
      <OfflineBanner />
      <header class="topbar">
        <IconButton icon={menuOpen ? 'close' : 'menu'} label={menuOpen ? 'Close navigation' : 'Open navigation'} aria-expanded={menuOpen}
          onClick={() => setMenuOpen(!menuOpen)} />
        <Brand />
        <IconButton icon="search" label="Go to, or do" onClick={() => paletteOpen.set(true)} />
      </header>
      <Sidebar path={path} />
      <div class="scrim" onClick={() => setMenuOpen(false)} />
      <main id="main" ref={main} tabIndex={-1}>
        {!route ? <NotFound />
          : error ? <ErrorBox title="This page could not be loaded" error={messageOf(error)} retry={() => window.location.reload()} />
          : Page ? <Page key={place} params={params} /> : <Loading />}
      </main>
      <CommandLayer />
    </div>
  );
}

function Brand() {
  return (
    <Link class="brand" href="/vms" aria-label="Holm">
      <img src="/favicon.svg" width="22" height="22" alt="" /><span>Holm</span>
    </Link>
  );
}

function Sidebar({ path }: { path: string }) {
  const who = useStore(me)!;
  return (
    <nav class="sidebar" aria-label="Main">
      <Brand />
      <button type="button" class="jump" onClick={() => paletteOpen.set(true)}>
        <Icon name="search" /><span class="grow">Go to…</span><span class="keys" aria-hidden="true"><kbd>Ctrl</kbd><kbd>K</kbd></span>
      </button>
      {navOf(who.admin).map((group) => (
        <div class="nav-group" key={group.label}>
          <h2>{group.label}</h2>
          <ul>
            {group.items.map((item) => {
              const is = isBelow(path, item.href);
              const inside = <><Icon name={item.icon} /><span>{item.label}</span></>;
              return (
                <li key={item.href}>
                  {item.outside ? <a href={item.href}>{inside}</a>
                    : <Link href={item.href} aria-current={is ? 'page' : undefined}>{inside}</Link>}
                </li>
              );
            })}
          </ul>
        </div>
      ))}
      <div class="sidebar-foot">
        <ThemeSwitch />
        <Account />
      </div>
    </nav>
  );
}

const THEMES: { value: Theme; label: string; icon: IconName }[] = [
  { value: 'system', label: 'As the system', icon: 'screen' },
  { value: 'light', label: 'Light', icon: 'sun' },
  { value: 'dark', label: 'Dark', icon: 'moon' },
];

function ThemeSwitch() {
  const current = useStore(theme);
  return (
    <div class="theme-switch" role="group" aria-label="Colours">
      {THEMES.map((t) => (
        <IconButton key={t.value} small icon={t.icon} label={t.label} aria-pressed={current === t.value} onClick={() => setTheme(t.value)} />
      ))}
      <IconButton small icon="help" label="Keyboard shortcuts" onClick={() => helpOpen.set(true)} />
    </div>
  );
}

async function signOut() {
  try {
    await logout();
  } catch (e) {
    toast.error(e);
  }
}

function Account() {
  const who = useStore(me)!;
  const name = who.email || who.accountName;
  return (
    <div class="account">
      <span class="account-name" title={name}><strong>{name}</strong><span class="muted">{who.admin ? 'Administrator' : who.accountName}</span></span>
      <Menu label="Account" icon="more" small header={name} items={[
        { label: 'API keys', icon: 'keys', onSelect: () => navigate('/keys') },
        { label: 'Sign out', icon: 'logout', onSelect: signOut, separated: true },
      ]} />
    </div>
  );
}

function OfflineBanner() {
  const is = useStore(offline);
  if (!is) return null;
  return (
    <div class="banner tone-warn" role="alert">
      <Icon name="warning" /><span>Holm cannot be reached. What you see may be old.</span>
      <Button small icon="refresh" onClick={() => void retryNow()}>Try now</Button>
    </div>
  );
}

function NotFound() {
  return (
    <Empty icon="search" title="There is no such page" actions={<Button onClick={() => navigate('/vms')}>To the VMs</Button>}>
      The address may be misspelt, or what it named is gone.
    </Empty>
  );
}

function useGlobalCommands(admin: boolean) {
  useCommands('Pages', () => navOf(admin).flatMap((g) => g.items).map((item): Command => ({
    label: item.label, icon: item.icon, keys: item.keys,
    run: () => { if (item.outside) window.location.assign(item.href); else navigate(item.href); },
  })), [admin]);
  useCommands('Actions', () => [
    { label: 'Create a VM', icon: 'plus', keys: 'c', run: () => navigate('/vms?create=1') },
    ...THEMES.map((t): Command => ({ label: `Colours: ${t.label.toLowerCase()}`, icon: t.icon, run: () => setTheme(t.value) })),
    { label: 'Keyboard shortcuts', icon: 'help', run: () => helpOpen.set(true) },
    { label: 'Sign out', icon: 'logout', run: () => void signOut() },
  ], []);
}

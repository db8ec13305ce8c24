// SPDX-License-Identifier: Apache-2.0
// Pages by path, over the History API. Paths that are no page of ours (/docs, /swagger) are left to
// the browser.

import type { ComponentChildren } from 'preact';

import { createStore, useStore } from './store';

export interface Location {
  path: string;
  query: URLSearchParams;
}

function current(): Location {
  return { path: window.location.pathname, query: new URLSearchParams(window.location.search) };
}

export const location = createStore<Location>(current());

// Asked before a page is left; one that says no keeps it.
type Guard = () => boolean;
const guards = new Set<Guard>();

export function guardLeaving(guard: Guard): () => void {
  guards.add(guard);
  return () => guards.delete(guard);
}

window.addEventListener('popstate', () => location.set(current()));

export function navigate(to: string, { replace = false } = {}) {
  if (to === window.location.pathname + window.location.search) return;
  for (const guard of guards) if (!guard()) return;
  window.history[replace ? 'replaceState' : 'pushState'](null, '', to);
  location.set(current());
  if (!replace) window.scrollTo(0, 0);
}

export function useLocation(): Location {
  return useStore(location);
}

// The parameters of a path such as "/vms/:id/:tab?", or null where it is another.
export function match(pattern: string, path: string): Record<string, string> | null {
  const want = pattern.split('/').filter(Boolean), have = path.split('/').filter(Boolean);
  if (have.length > want.length) return null;
  const params: Record<string, string> = {};
  for (let i = 0; i < want.length; i++) {
    const part = want[i], value = have[i];
    if (part.startsWith(':')) {
      if (value === undefined) {
        if (part.endsWith('?')) continue;
        return null;
      }
      try {
        params[part.replace(/^:|\?$/g, '')] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (part !== value) {
      return null;
    }
  }
  return params;
}

// What `to` names on this host, whoever put it into an address: all else, "//host" too, is its first page.
export function ownUrl(to: string | null): URL {
  const home = new URL('/', window.location.origin);
  if (!to || !URL.canParse(to, home)) return home;
  const url = new URL(to, home);
  return url.origin === home.origin && !url.pathname.startsWith('//') ? url : home;
}

interface LinkProps {
  href: string;
  children?: ComponentChildren;
  class?: string;
  title?: string;
  onClick?: (e: MouseEvent) => void;
  'aria-current'?: 'page';
  'aria-label'?: string;
}

// A link that changes the page without loading it, unless a modifier asks for a new tab.
export function Link({ href, onClick, ...rest }: LinkProps) {
  return (
    <a
      href={href}
      {...rest}
      onClick={(e) => {
        onClick?.(e);
        if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
        e.preventDefault();
        navigate(href);
      }}
    />
  );
}

// SPDX-License-Identifier: Apache-2.0
// A button with a menu. Arrow keys, Home, End and first letters move in it; Esc and Tab close it.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { Button, IconButton } from './basics';
import { Icon, type IconName } from './icons';

export interface MenuItem {
  label: string;
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
  hint?: string;
  separated?: boolean; // a line above
  onSelect: () => void;
}

const MOVE_MOST = 24;

export function Menu({ label, items, icon = 'more', children, small, header, variant }: {
  label: string; items: (MenuItem | false | null | undefined)[]; icon?: IconName; children?: ComponentChildren; small?: boolean;
  header?: ComponentChildren; variant?: 'default' | 'ghost';
}) {
  const [open, setOpen] = useState(false);
  const [place, setPlace] = useState<{ top: number; left: number }>();
  const button = useRef<HTMLButtonElement>(null), menu = useRef<HTMLDivElement>(null);
  const id = useId();
  const shown = items.filter((i): i is MenuItem => Boolean(i));

  const close = (refocus = true) => {
    setOpen(false);
    setPlace(undefined);
    if (refocus) button.current?.focus();
  };
  const entries = () => [...menu.current!.querySelectorAll<HTMLElement>('[role=menuitem]:not([aria-disabled=true])')];

  // Below the button's right edge, or above it where there is no room; never beyond the window.
  useLayoutEffect(() => {
    if (!open || !menu.current || !button.current) return;
    const b = button.current.getBoundingClientRect(), m = menu.current.getBoundingClientRect();
    const below = b.bottom + 4 + m.height <= window.innerHeight - 8;
    setPlace({
      top: below ? b.bottom + 4 : Math.max(8, b.top - 4 - m.height),
      left: Math.min(Math.max(8, b.right - m.width), window.innerWidth - m.width - 8),
    });
  }, [open]);
  // Only what can be seen takes the focus.
  useLayoutEffect(() => { if (place) entries()[0]?.focus({ preventScroll: true }); }, [place]);

  useEffect(() => {
    if (!open) return undefined;
    const outside = (e: Event) => {
      if (!menu.current?.contains(e.target as Node) && !button.current?.contains(e.target as Node)) close(false);
    };
    // It stays where it was opened; when its button has gone elsewhere it would hang in the air.
    const top = button.current!.getBoundingClientRect().top;
    const moved = () => {
      if (Math.abs((button.current?.getBoundingClientRect().top ?? 0) - top) > MOVE_MOST) close(false);
    };
    document.addEventListener('pointerdown', outside);
    window.addEventListener('resize', moved);
    window.addEventListener('scroll', moved, true);
    return () => {
      document.removeEventListener('pointerdown', outside);
      window.removeEventListener('resize', moved);
      window.removeEventListener('scroll', moved, true);
    };
  }, [open]);

  const onKeyDown = (e: KeyboardEvent) => {
    const list = entries(), at = list.indexOf(document.activeElement as HTMLElement);
    const go = (i: number) => { e.preventDefault(); list[(i + list.length) % list.length]?.focus(); };
    e.stopPropagation();
    if (e.key === 'ArrowDown') go(at + 1);
    else if (e.key === 'ArrowUp') go(at < 0 ? -1 : at - 1);
    else if (e.key === 'Home') go(0);
    else if (e.key === 'End') go(-1);
    else if (e.key === 'Escape') { e.preventDefault(); close(); }
    else if (e.key === 'Tab') close();
    else if (e.key.length === 1 && /\S/.test(e.key)) {
      const letter = e.key.toLowerCase();
      const next = [...list.slice(at + 1), ...list].find((el) => el.textContent?.trim().toLowerCase().startsWith(letter));
      next?.focus();
    }
  };

  const props = {
    buttonRef: button, small, variant, 'aria-haspopup': 'menu' as const, 'aria-expanded': open, 'aria-controls': open ? id : undefined,
    onClick: (e: Event) => { e.stopPropagation(); if (open) close(); else setOpen(true); },
    onKeyDown: (e: KeyboardEvent) => { if (e.key === 'ArrowDown' && !open) { e.preventDefault(); setOpen(true); } },
  };
  return (
    <span class="menu-anchor" onClick={(e) => e.stopPropagation()}>
      {children ? <Button {...props} icon={icon === 'more' ? undefined : icon}>{children}<Icon name="down" /></Button>
        : <IconButton {...props} icon={icon} label={label} />}
      {open && (
        <div ref={menu} id={id} class="menu" role="menu" aria-label={label} onKeyDown={onKeyDown}
          style={place ? { top: `${place.top}px`, left: `${place.left}px` } : { visibility: 'hidden' }}>
          {header && <div class="menu-header" role="presentation">{header}</div>}
          {shown.map((item) => (
            <button key={item.label} type="button" role="menuitem" tabIndex={-1} title={item.hint}
              aria-disabled={item.disabled || undefined} class={`${item.danger ? 'is-danger' : ''} ${item.separated ? 'is-separated' : ''}`}
              onClick={() => { if (item.disabled) return; close(); item.onSelect(); }}>
              {item.icon && <Icon name={item.icon} />}
              <span>{item.label}</span>
            </button>
          ))}
        </div>
      )}
    </span>
  );
}

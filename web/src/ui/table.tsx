// SPDX-License-Identifier: Apache-2.0
// Rows of things: sorted by a column, chosen by check boxes, walked with the arrow keys. On narrow
// screens each row is a card; data-label carries the column's name into it.

import type { ComponentChildren } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';

import { Icon } from './icons';

export interface Column<T> {
  key: string;
  label: string;
  render: (row: T) => ComponentChildren;
  sort?: (row: T) => string | number; // sortable by this
  align?: 'right';
  width?: string;
  card?: 'title' | 'hide' | 'actions'; // where it goes in the card of narrow screens
  hideLabel?: boolean;
}

export interface Sort {
  key: string;
  down: boolean;
}

export function sortRows<T>(rows: T[], columns: Column<T>[], sort: Sort | undefined): T[] {
  const by = columns.find((c) => c.key === sort?.key)?.sort;
  if (!by) return rows;
  const sign = sort!.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = by(a), y = by(b);
    if (typeof x === 'string' && typeof y === 'string') return sign * x.localeCompare(y, 'en', { numeric: true });
    return sign * (Number(x) - Number(y));
  });
}

export function Table<T>({ label, rows, columns, rowKey, rowLabel, initialSort, selected, onSelect, onOpen, empty }: {
  label: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  rowLabel?: (row: T) => string; // names the row's check box
  initialSort?: Sort;
  selected?: ReadonlySet<string>;
  onSelect?: (keys: Set<string>) => void;
  onOpen?: (row: T) => void; // Enter or a click on the row
  empty?: ComponentChildren;
}) {
  const [sort, setSort] = useState(initialSort);
  const sorted = useMemo(() => sortRows(rows, columns, sort), [rows, columns, sort]);
  const body = useRef<HTMLTableSectionElement>(null);
  const last = useRef<string | undefined>(undefined); // where a shift-click's range begins
  const shift = useRef(false);
  const chosen = selected ? sorted.filter((r) => selected.has(rowKey(r))).length : 0;

  const toggle = (row: T, range: boolean) => {
    const key = rowKey(row), next = new Set(selected), on = !next.has(key);
    const keys = sorted.map(rowKey), from = last.current ? keys.indexOf(last.current) : -1;
    const between = range && from >= 0 ? keys.slice(Math.min(from, keys.indexOf(key)), Math.max(from, keys.indexOf(key)) + 1) : [key];
    for (const k of between) if (on) next.add(k); else next.delete(k);
    last.current = key;
    onSelect!(next);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const row = e.currentTarget as HTMLElement;
    if (e.target !== row) return;
    const index = [...body.current!.children].indexOf(row);
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: sorted.length - 1 }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      (body.current!.children[to] as HTMLElement | undefined)?.focus();
    } else if (e.key === 'Enter' && onOpen) {
      e.preventDefault();
      onOpen(sorted[index]);
    } else if (e.key === ' ' && onSelect) {
      e.preventDefault();
      toggle(sorted[index], e.shiftKey);
    }
  };

  if (rows.length === 0 && empty) return <>{empty}</>;
  return (
    <div class="table-frame">
      <table class={`table ${onOpen ? 'is-openable' : ''}`} aria-label={label}>
        <thead>
          <tr>
            {onSelect && (
              <th class="cell-check" scope="col">
                <input type="checkbox" aria-label={`Select all: ${label}`} checked={chosen > 0 && chosen === sorted.length}
                  ref={(el) => { if (el) el.indeterminate = chosen > 0 && chosen < sorted.length; }}
                  onInput={() => onSelect(chosen === sorted.length ? new Set() : new Set(sorted.map(rowKey)))} />
              </th>
            )}
            {columns.map((c) => {
              const is = sort?.key === c.key;
              return (
                <th key={c.key} scope="col" class={c.align === 'right' ? 'is-right' : ''} style={c.width ? { width: c.width } : undefined}
                  aria-sort={is ? (sort!.down ? 'descending' : 'ascending') : undefined}>
                  {c.sort
                    ? <button type="button" class={`sort ${is ? 'is-active' : ''} ${is && sort!.down ? 'is-down' : ''}`}
                        onClick={() => setSort({ key: c.key, down: is ? !sort!.down : false })}>{c.label}<Icon name="up" size={12} /></button>
                    : c.hideLabel ? <span class="visually-hidden">{c.label}</span> : c.label}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody ref={body}>
          {sorted.map((row) => {
            const key = rowKey(row), isChosen = selected?.has(key) ?? false;
            return (
              <tr key={key} tabIndex={onOpen || onSelect ? 0 : undefined} class={isChosen ? 'is-selected' : ''} data-key={key}
                onKeyDown={onKeyDown}
                onClick={(e) => {
                  if ((e.target as HTMLElement).closest('a,button,input,label,select') || window.getSelection()?.toString()) return;
                  onOpen?.(row);
                }}>
                {onSelect && (
                  <td class="cell-check">
                    <input type="checkbox" checked={isChosen} aria-label={`Select ${rowLabel?.(row) ?? key}`}
                      onClick={(e) => { shift.current = e.shiftKey; }} onInput={() => toggle(row, shift.current)} />
                  </td>
                )}
                {columns.map((c) => (
                  <td key={c.key} data-label={c.hideLabel ? undefined : c.label} class={`${c.align === 'right' ? 'is-right' : ''} ${c.card ? `card-${c.card}` : ''}`}>
                    {c.render(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

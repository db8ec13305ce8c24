// SPDX-License-Identifier: Apache-2.0
// A tree to walk with the keyboard, as the pattern for trees wants: up and down, right opens or goes in, left closes or
// goes out, Home, End, first letters, Enter acts. One row is reached by Tab, the others from there.

import type { ComponentChildren } from 'preact';
import { useMemo, useRef } from 'preact/hooks';

import { Icon } from '../../ui';

export interface TreeNode<T> {
  key: string;
  name: string; // what first letters look for
  children: T[];
}

interface Row<T> {
  node: T;
  level: number;
  at: number; // among its siblings, from 1
  of: number;
  lasts: boolean[]; // of its ancestors below the root, and itself: whether it is the last of its siblings
  parent?: string;
}

function flatten<T extends TreeNode<T>>(nodes: T[], closed: ReadonlySet<string>, lasts: boolean[] = [], parent?: string): Row<T>[] {
  return nodes.flatMap((node, i) => {
    const mine = [...lasts, i === nodes.length - 1];
    const row = { node, level: mine.length, at: i + 1, of: nodes.length, lasts: mine, parent };
    return [row, ...(closed.has(node.key) ? [] : flatten(node.children, closed, mine, node.key))];
  });
}

// The lines to its parent and past its later siblings.
function Guides({ lasts }: { lasts: boolean[] }) {
  return (
    <span class="tree-guides" aria-hidden="true">
      {lasts.slice(1).map((isLast, i, all) => (
        <span key={i} class={i === all.length - 1 ? (isLast ? 'is-end' : 'is-tee') : isLast ? '' : 'is-line'} />
      ))}
    </span>
  );
}

export function Tree<T extends TreeNode<T>>({ label, nodes, closed, onClosed, selected, onSelect, onOpen, render }: {
  label: string;
  nodes: T[];
  closed: ReadonlySet<string>;
  onClosed: (closed: Set<string>) => void;
  selected?: string;
  onSelect: (key: string) => void;
  onOpen: (node: T) => void; // Enter, or a double click
  render: (node: T) => ComponentChildren;
}) {
  const rows = useMemo(() => flatten(nodes, closed), [nodes, closed]);
  const root = useRef<HTMLUListElement>(null);
  const inTab = rows.some((r) => r.node.key === selected) ? selected : rows[0]?.node.key;

  const go = (row: Row<T> | undefined) => {
    if (!row) return;
    onSelect(row.node.key);
    root.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.node.key)}"]`)?.focus();
  };
  const setOpen = (key: string, open: boolean) => {
    const next = new Set(closed);
    if (open) next.delete(key); else next.add(key);
    onClosed(next);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const at = rows.findIndex((r) => r.node.key === inTab), row = rows[at];
    if (!row) return;
    const { node } = row, isOpen = node.children.length > 0 && !closed.has(node.key);
    if (e.key === 'ArrowDown') go(rows[at + 1]);
    else if (e.key === 'ArrowUp') go(rows[at - 1]);
    else if (e.key === 'Home') go(rows[0]);
    else if (e.key === 'End') go(rows.at(-1));
    else if (e.key === 'ArrowRight') { if (isOpen) go(rows[at + 1]); else if (node.children.length) setOpen(node.key, true); }
    else if (e.key === 'ArrowLeft') { if (isOpen) setOpen(node.key, false); else go(rows.find((r) => r.node.key === row.parent)); }
    else if (e.key === 'Enter') onOpen(node);
    else if (e.key === ' ') onSelect(node.key);
    else if (e.key.length === 1 && /[\p{L}\p{N}]/u.test(e.key)) {
      const low = e.key.toLowerCase();
      const found = [...rows.slice(at + 1), ...rows].find((r) => r.node.name.toLowerCase().startsWith(low));
      if (!found) return;
      go(found);
    } else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <ul ref={root} class="tree" role="tree" aria-label={label} onKeyDown={onKeyDown}>
      {rows.map(({ node, level, at, of, lasts }) => {
        const hasChildren = node.children.length > 0, isOpen = hasChildren && !closed.has(node.key);
        return (
          <li key={node.key} role="treeitem" data-key={node.key} aria-level={level} aria-posinset={at} aria-setsize={of}
            aria-expanded={hasChildren ? isOpen : undefined} aria-selected={node.key === selected} tabIndex={node.key === inTab ? 0 : -1}
            onClick={() => onSelect(node.key)} onDblClick={() => onOpen(node)} onFocus={() => { if (selected === undefined) onSelect(node.key); }}>
            <Guides lasts={lasts} />
            <span class={`tree-toggle ${isOpen ? 'is-open' : ''}`} aria-hidden="true"
              onClick={(e) => { if (hasChildren) { e.stopPropagation(); setOpen(node.key, !isOpen); } }}>
              {hasChildren && <Icon name="right" size={14} />}
            </span>
            {render(node)}
          </li>
        );
      })}
    </ul>
  );
}

// SPDX-License-Identifier: Apache-2.0
// Who was made from what: VMs from snapshots or from VMs (forks), snapshots from VMs. A tree, since each thing was
// made from one other at most; what is gone is known only by those who came from it, and stands for itself.

import type { Snapshot, Vm } from './api/native';

export interface LineageNode {
  key: string; // "vm:ID", "snapshot:ID"
  kind: 'vm' | 'snapshot';
  id: string;
  name: string;
  vm?: Vm; // neither: it is gone
  snapshot?: Snapshot;
  how: 'fork' | 'launch' | 'capture' | 'root'; // from its parent
  createdAt: number;
  children: LineageNode[];
  total: number; // of all below it
}

const vmKey = (id: string) => `vm:${id}`;
export const snapshotKey = (id: string) => `snapshot:${id}`;

function parentOf(n: LineageNode): string | undefined {
  if (n.snapshot) return vmKey(n.snapshot.vmId);
  if (n.vm?.snapshotId) return snapshotKey(n.vm.snapshotId);
  if (n.vm?.forkedFrom) return vmKey(n.vm.forkedFrom);
  return undefined;
}

function howOf(n: LineageNode): LineageNode['how'] {
  if (n.snapshot) return 'capture';
  return n.vm?.snapshotId ? 'launch' : n.vm?.forkedFrom ? 'fork' : 'root';
}

function gone(key: string): LineageNode {
  const [kind, id] = [key.slice(0, key.indexOf(':')) as LineageNode['kind'], key.slice(key.indexOf(':') + 1)];
  return { key, kind, id, name: `Deleted ${kind === 'vm' ? 'VM' : 'snapshot'}`, how: 'root', createdAt: Infinity, children: [], total: 0 };
}

// From its children: as old as the oldest of them, when it is gone itself.
function finish(n: LineageNode, path: Set<LineageNode>): number {
  path.add(n);
  n.children = n.children.filter((c) => !path.has(c)); // nothing comes from itself, whatever an answer says
  n.total = n.children.reduce((sum, c) => sum + 1 + finish(c, path), 0);
  n.createdAt = Math.min(n.createdAt, ...n.children.map((c) => c.createdAt));
  n.children.sort((a, b) => a.createdAt - b.createdAt);
  path.delete(n);
  return n.total;
}

export function lineage(vms: Vm[], snapshots: Snapshot[]): LineageNode[] {
  const nodes = new Map<string, LineageNode>();
  const add = (n: Omit<LineageNode, 'how' | 'children' | 'total'>) => nodes.set(n.key, { ...n, how: 'root', children: [], total: 0 });
  for (const vm of vms) add({ key: vmKey(vm.id), kind: 'vm', id: vm.id, name: vm.name, vm, createdAt: Date.parse(vm.createdAt) });
  for (const s of snapshots)
    add({ key: snapshotKey(s.id), kind: 'snapshot', id: s.id, name: s.name, snapshot: s, createdAt: Date.parse(s.createdAt) });
  const roots: LineageNode[] = [];
  for (const n of [...nodes.values()]) {
    const key = parentOf(n);
    n.how = howOf(n);
    if (!key) {
      roots.push(n);
      continue;
    }
    let parent = nodes.get(key);
    if (!parent) {
      parent = gone(key);
      nodes.set(key, parent);
      roots.push(parent);
    }
    parent.children.push(n);
  }
  for (const r of roots) finish(r, new Set());
  return roots.sort((a, b) => a.createdAt - b.createdAt);
}

// What is left of it when only those that fit, and those they come from, are shown.
export function prune(nodes: LineageNode[], fits: (n: LineageNode) => boolean): LineageNode[] {
  return nodes.flatMap((n) => {
    const children = prune(n.children, fits);
    return children.length || fits(n) ? [{ ...n, children }] : [];
  });
}

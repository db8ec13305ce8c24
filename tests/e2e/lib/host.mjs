// SPDX-License-Identifier: Apache-2.0
// What this machine shows of a daemon's VMs: processes, mounts, sockets, cgroups, directories.
import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process has ended meanwhile
  }
}

function list(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

// Start time of a process in ticks since boot, which with the pid names it for ever; '' when it is
// gone or a zombie.
export function startOf(pid) {
  const fields = read(`/proc/${pid}/stat`).replace(/^.*\) /s, '').split(' ');
  return fields[0] === 'Z' ? '' : fields[19] ?? '';
}

// Processes under a uid of the range: [{pid, start, command}].
export function processesOfUids(first, count) {
  const found = [];
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const uid = Number(/^Uid:\t(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? -1);
    if (uid >= first && uid < first + count && startOf(pid)) {
      found.push({ pid: Number(pid), start: startOf(pid), command: read(`/proc/${pid}/comm`).trim() });
    }
  }
  return found;
}

export function mountsBelow(dir) {
  return read('/proc/self/mountinfo').split('\n').map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${dir}/`));
}

export function socketsBelow(dir) {
  return read('/proc/net/unix').split('\n').map((line) => line.trim().split(/\s+/)[7] ?? '')
    .filter((path) => path.startsWith(`${dir}/`));
}

export function vmDirs(data) {
  return list(join(data, 'vms'));
}

// Cgroups named after one of these VMs, in any hierarchy.
export function cgroupsOf(ids, root = '/sys/fs/cgroup', depth = 0) {
  if (depth > 6 || ids.length === 0) return [];
  const found = [];
  for (const entry of existsSync(root) ? readdirSync(root, { withFileTypes: true }) : []) {
    if (!entry.isDirectory()) continue;
    const path = join(root, entry.name);
    if (ids.some((id) => entry.name.includes(id))) found.push(path);
    else found.push(...cgroupsOf(ids, path, depth + 1));
  }
  return found;
}

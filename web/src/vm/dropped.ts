// SPDX-License-Identifier: Apache-2.0
// What was dropped on the page: files, and directories with everything below.

export interface Picked {
  path: string; // relative to where it is dropped
  file: File;
}

const fileOf = (entry: FileSystemFileEntry) => new Promise<File>((resolve, reject) => { entry.file(resolve, reject); });

async function childrenOf(entry: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = entry.createReader(), all: FileSystemEntry[] = [];
  // It gives a hundred at a time, and none at the end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (some.length === 0) return all;
    all.push(...some);
  }
}

async function walk(entry: FileSystemEntry, below: string, into: Picked[]): Promise<void> {
  const path = below + entry.name;
  if (entry.isFile) into.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
  else for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) await walk(child, `${path}/`, into);
}

export async function dropped(data: DataTransfer): Promise<Picked[]> {
  // Entries must be taken before the first await: then the event is over.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((e) => e !== null && e !== undefined);
  if (entries.length === 0) return [...data.files].map((file) => ({ path: file.name, file }));
  const found: Picked[] = [];
  for (const entry of entries) await walk(entry, '', found);
  return found;
}

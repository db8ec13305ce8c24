// SPDX-License-Identifier: Apache-2.0
// The files of a VM: walked, looked at, uploaded and downloaded.

import { useEffect, useRef, useState } from 'preact/hooks';

import { ApiError, messageOf, send, upload, url, wasAborted, type UploadProgress } from '../api/client';
import { vms, type FileInfo } from '../api/native';
import { useQuery } from '../api/query';
import { bytes, dateTime } from '../format';
import type { TabProps } from '../pages/vm';
import { Button, Dialog, Empty, ErrorBox, Icon, IconButton, Loading, Menu, Note, Progress, Table, confirm, prompt, toast, type Column, type IconName } from '../ui';
import { dropped, type Picked } from './dropped';

const VIEW_MOST = 512 * 1024, START = '/root';

const join = (dir: string, name: string) => (dir === '/' ? `/${name}` : `${dir}/${name}`);
const parent = (path: string) => path.replace(/\/[^/]*$/, '') || '/';

// "/a/./b/../c/" -> "/a/c"
function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

const isDir = (f: FileInfo) => f.type === 'dir' || f.type === 'directory';
const isFile = (f: FileInfo) => f.type === 'file' || f.type === 'regular';
const isLink = (f: FileInfo) => f.type === 'link' || f.type === 'symlink';
const iconOf = (f: FileInfo): IconName => (isDir(f) ? 'folder' : isLink(f) ? 'link' : 'file');

export function FilesTab({ vm }: TabProps) {
  const isUp = vm.status === 'running';
  const [path, setPath] = useState(START), [typed, setTyped] = useState<string>();
  const [viewed, setViewed] = useState<FileInfo>();
  const list = useQuery(`files ${vm.id} ${path}`, (signal) => vms.listDir(vm.id, path, signal), { enabled: isUp });
  const uploads = useUploads(vm.id, list.reload);
  const [isOver, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);

  if (!isUp) return <Empty icon="folder" title="Files need a running VM">This one is {vm.status}.</Empty>;

  const go = (to: string) => { setTyped(undefined); setPath(normal(to)); };
  const download = (file: string, asTar: boolean) => {
    const link = document.createElement('a');
    link.href = url(vms.filesPath(vm.id), { path: file });
    link.download = `${file.split('/').pop() || 'root'}${asTar ? '.tar' : ''}`;
    link.click();
  };
  const open = (f: FileInfo) => {
    if (isDir(f) || isLink(f)) go(join(path, f.name));
    else if (isFile(f) && f.size <= VIEW_MOST) setViewed(f);
    else if (isFile(f)) download(join(path, f.name), false);
  };
  const remove = async (f: FileInfo) => {
    const yes = await confirm({ title: `Delete ${f.name}?`, text: isDir(f) ? 'The directory goes with everything in it.' : 'It cannot be brought back.', action: 'Delete', danger: true,
      run: () => vms.removeFile(vm.id, join(path, f.name)) });
    if (yes) list.reload();
  };
  const makeDir = () => prompt({
    title: 'New directory', text: <>In <code>{path}</code></>, action: 'Create', field: { label: 'Name', value: '' },
    run: async (name) => {
      if (!name.trim()) throw new Error('A name is needed.');
      await makeDirectory(vm.id, normal(join(path, name.trim())));
      list.reload();
    },
  });

  const columns: Column<FileInfo>[] = [
    { key: 'name', label: 'Name', card: 'title', sort: (f) => `${isDir(f) ? 0 : 1}${f.name}`, render: (f) => (
      <button type="button" class="file-name" onClick={() => open(f)}><Icon name={iconOf(f)} /><span>{f.name}</span></button>
    ) },
    { key: 'size', label: 'Size', align: 'right', sort: (f) => (isDir(f) ? -1 : f.size), render: (f) => <span class="num">{isDir(f) ? '–' : bytes(f.size)}</span> },
    { key: 'mode', label: 'Mode', render: (f) => <code>{f.mode}</code> },
    { key: 'owner', label: 'Owner', render: (f) => <span class="num">{f.uid}:{f.gid}</span> },
    { key: 'changed', label: 'Changed', sort: (f) => f.mtimeMs, render: (f) => <span class="num nowrap">{dateTime(f.mtimeMs)}</span> },
    { key: 'actions', label: 'Actions', hideLabel: true, card: 'actions', align: 'right', width: '84px', render: (f) => (
      <span class="row-actions">
        <IconButton small icon="download" label={`Download ${f.name}`} onClick={() => download(join(path, f.name), isDir(f))} />
        <Menu small label={`Actions for ${f.name}`} items={[
          isFile(f) && { label: 'View', icon: 'file', disabled: f.size > VIEW_MOST, onSelect: () => setViewed(f) },
          { label: isDir(f) ? 'Download as tar' : 'Download', icon: 'download', onSelect: () => download(join(path, f.name), isDir(f)) },
          { label: 'Delete…', icon: 'trash', danger: true, separated: true, onSelect: () => void remove(f) },
        ]} />
      </span>
    ) },
  ];

  const drop = async (e: DragEvent) => {
    e.preventDefault();
    setOver(false);
    if (e.dataTransfer) uploads.add(path, await dropped(e.dataTransfer));
  };
  return (
    <div class={`files ${isOver ? 'is-over' : ''}`} onDragOver={(e) => { e.preventDefault(); setOver(true); }}
      onDragLeave={(e) => { if (!(e.currentTarget as Node).contains(e.relatedTarget as Node | null)) setOver(false); }} onDrop={drop}>
      <div class="toolbar">
        {typed === undefined ? <Breadcrumb path={path} onGo={go} onEdit={() => setTyped(path)} /> : (
          <form class="grow row" onSubmit={(e) => { e.preventDefault(); go(typed); }}>
            <input aria-label="Path" class="mono" value={typed} autofocus spellcheck={false} onInput={(e) => setTyped(e.currentTarget.value)}
              onKeyDown={(e) => { if (e.key === 'Escape') setTyped(undefined); }} />
            <Button type="submit">Go</Button>
          </form>
        )}
        <IconButton icon="refresh" label="Load again" onClick={list.reload} />
        <Button icon="plus" onClick={makeDir}>Directory</Button>
        <Button icon="download" onClick={() => download(path, true)}>Tar</Button>
        <Button variant="primary" icon="upload" onClick={() => picker.current?.click()}>Upload</Button>
        <input ref={picker} type="file" multiple hidden aria-label="Files to upload" onInput={(e) => {
          uploads.add(path, [...(e.currentTarget.files ?? [])].map((file) => ({ path: file.name, file })));
          e.currentTarget.value = '';
        }} />
      </div>
      <Uploads {...uploads} />
      {list.error && (
        <ErrorBox error={list.error instanceof ApiError && list.error.status === 404 ? new Error(`There is no directory ${path}.`) : list.error} retry={list.reload} />
      )}
      {list.loading && <div class="table-frame"><Loading /></div>}
      {list.data && <Table label={`Files in ${path}`} rows={list.data.entries} columns={columns} rowKey={(f) => f.name} initialSort={{ key: 'name', down: false }} onOpen={open}
        empty={<Empty icon="folder" title="Nothing is in here" actions={<Button icon="upload" onClick={() => picker.current?.click()}>Upload files</Button>}>Drop files or whole directories here.</Empty>} />}
      {viewed && <Viewer vmId={vm.id} path={join(path, viewed.name)} file={viewed} onClose={() => setViewed(undefined)} onSaved={list.reload} />}
    </div>
  );
}

// An archive with nothing in it: what it is unpacked into is made.
async function makeDirectory(vmId: string, path: string) {
  await send('PUT', vms.filesPath(vmId), { query: { path }, body: new Blob([new Uint8Array(1024)]), headers: { 'Content-Type': 'application/x-tar' } });
}

function Breadcrumb({ path, onGo, onEdit }: { path: string; onGo: (path: string) => void; onEdit: () => void }) {
  const parts = path.split('/').filter(Boolean);
  return (
    <nav class="crumbs grow" aria-label="Directory">
      <IconButton small icon="up" label="To the directory above" disabled={path === '/'} onClick={() => onGo(parent(path))} />
      <button type="button" onClick={() => onGo('/')}>/</button>
      {parts.map((part, i) => (
        <span key={i}>
          {i > 0 && <i aria-hidden="true">/</i>}
          <button type="button" aria-current={i === parts.length - 1 ? 'location' : undefined} onClick={() => onGo(`/${parts.slice(0, i + 1).join('/')}`)}>{part}</button>
        </span>
      ))}
      <IconButton small icon="edit" label="Type a path" onClick={onEdit} />
    </nav>
  );
}

// --- Uploads: one after the other ---

interface Upload {
  id: number;
  target: string;
  size: number;
  progress?: UploadProgress;
  state: 'waiting' | 'sending' | 'done' | 'failed' | 'cancelled';
  problem?: string;
  abort: AbortController;
}

let nextUpload = 1;

function useUploads(vmId: string, onDone: () => void) {
  const [list, setList] = useState<Upload[]>([]);
  const queue = useRef<{ upload: Upload; file: File }[]>([]), isBusy = useRef(false), isGone = useRef(false);
  useEffect(() => () => { isGone.current = true; for (const q of queue.current) q.upload.abort.abort(); }, []);
  const change = (id: number, part: Partial<Upload>) => {
    if (!isGone.current) setList((all) => all.map((u) => (u.id === id ? { ...u, ...part } : u)));
  };

  const work = async () => {
    if (isBusy.current) return;
    isBusy.current = true;
    for (let next; (next = queue.current.shift());) {
      const { upload: u, file } = next;
      if (u.abort.signal.aborted) continue;
      change(u.id, { state: 'sending' });
      try {
        await upload('PUT', vms.filesPath(vmId), file, { query: { path: u.target }, signal: u.abort.signal, onProgress: (progress) => change(u.id, { progress }) });
        change(u.id, { state: 'done' });
      } catch (e) {
        change(u.id, wasAborted(e) ? { state: 'cancelled' } : { state: 'failed', problem: messageOf(e) });
      }
      if (!isGone.current) onDone();
    }
    isBusy.current = false;
  };
  return {
    list,
    add(dir: string, files: Picked[]) {
      const made = files.map(({ path, file }) => ({
        file, upload: { id: nextUpload++, target: normal(join(dir, path)), size: file.size, state: 'waiting' as const, abort: new AbortController() },
      }));
      setList((all) => [...all.filter((u) => u.state === 'waiting' || u.state === 'sending'), ...made.map((m) => m.upload)]);
      queue.current.push(...made);
      void work();
    },
    cancel(u: Upload) {
      u.abort.abort();
      if (u.state === 'waiting') change(u.id, { state: 'cancelled' });
    },
    clear: () => setList([]),
  };
}

const SHOWN_UPLOADS = 6;

function Uploads({ list, cancel, clear }: ReturnType<typeof useUploads>) {
  if (list.length === 0) return null;
  const done = list.filter((u) => u.state === 'done').length, isOver = list.every((u) => u.state !== 'waiting' && u.state !== 'sending');
  const order = { sending: 0, failed: 1, waiting: 2, cancelled: 3, done: 4 };
  const shown = [...list].sort((a, b) => order[a.state] - order[b.state]).slice(0, SHOWN_UPLOADS);
  return (
    <section class="panel uploads" aria-label="Uploads">
      <div class="row"><strong class="grow" role="status">{isOver ? `${done} of ${list.length} uploaded` : `Uploading ${done + 1} of ${list.length}`}</strong>
        {isOver ? <IconButton small icon="close" label="Close" onClick={clear} />
          : <Button small onClick={() => list.forEach(cancel)}>Cancel all</Button>}</div>
      <ul>
        {shown.map((u) => (
          <li key={u.id}>
            <span class="truncate grow mono" title={u.target}>{u.target}</span>
            {u.state === 'sending' && u.progress && <span class="muted num nowrap">{bytes(u.progress.sent)} of {bytes(u.size)}, {bytes(u.progress.bytesPerSecond)}/s</span>}
            {u.state === 'sending' ? <Progress label={`Upload of ${u.target}`} value={u.progress?.sent ?? 0} max={u.size} />
              : <span class={u.state === 'failed' ? 'is-off' : 'muted'}>{u.problem ?? u.state}</span>}
            {(u.state === 'sending' || u.state === 'waiting') && <IconButton small icon="close" label={`Cancel upload of ${u.target}`} onClick={() => cancel(u)} />}
          </li>
        ))}
      </ul>
      {list.length > shown.length && <p class="muted">and {list.length - shown.length} more</p>}
    </section>
  );
}

// --- Looking at a text, and changing it ---

function Viewer({ vmId, path, file, onClose, onSaved }: { vmId: string; path: string; file: FileInfo; onClose: () => void; onSaved: () => void }) {
  const [text, setText] = useState<string>(), [edited, setEdited] = useState<string>();
  const [isBinary, setBinary] = useState(false), [error, setError] = useState<string>(), [busy, setBusy] = useState(false);
  useEffect(() => {
    const abort = new AbortController();
    (async () => {
      try {
        const res = await send('GET', vms.filesPath(vmId), { query: { path }, signal: abort.signal, headers: { Accept: '*/*' } });
        const data = await res.arrayBuffer();
        try {
          const decoded = new TextDecoder('utf-8', { fatal: true }).decode(data);
          if (decoded.includes('\0')) setBinary(true); else setText(decoded);
        } catch { setBinary(true); }
      } catch (e) { if (!wasAborted(e)) setError(messageOf(e)); }
    })();
    return () => abort.abort();
  }, [vmId, path]);

  const isChanged = edited !== undefined && edited !== text;
  const close = async () => {
    if (!isChanged || window.confirm('Throw away what you changed?')) onClose();
  };
  const save = async () => {
    if (edited === undefined) return;
    setBusy(true);
    try {
      await send('PUT', vms.filesPath(vmId), { query: { path, mode: file.mode, uid: file.uid, gid: file.gid }, body: new Blob([edited]), headers: { 'Content-Type': 'application/octet-stream' } });
      toast.done(`${file.name} saved`);
      onSaved();
      onClose();
    } catch (e) {
      setError(messageOf(e));
      setBusy(false);
    }
  };
  return (
    <Dialog wide title={path} onClose={close} onSubmit={edited === undefined ? undefined : save} footer={<>
      <span class="grow muted">{bytes(file.size)}</span>
      <Button onClick={close}>Close</Button>
      {text !== undefined && edited === undefined && <Button icon="edit" onClick={() => setEdited(text)}>Edit</Button>}
      {edited !== undefined && <Button type="submit" variant="primary" busy={busy} disabled={!isChanged}>Save</Button>}
    </>}>
      {error && <Note tone="bad">{error}</Note>}
      {isBinary && <Empty icon="file" title="This is no text">Download it to look at it.</Empty>}
      {text === undefined && !isBinary && !error && <Loading />}
      {text !== undefined && (edited === undefined
        ? <pre class="output viewer" tabIndex={0} aria-label={`Content of ${file.name}`}>{text || <span class="muted">empty</span>}</pre>
        : <textarea class="viewer" rows={20} value={edited} aria-label={`Content of ${file.name}`} spellcheck={false} onInput={(e) => setEdited(e.currentTarget.value)} />)}
    </Dialog>
  );
}

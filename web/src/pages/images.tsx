// SPDX-License-Identifier: Apache-2.0
// Images: Holm's own, and those with a kernel and a root file system that somebody uploaded.

import './parts/manage.css';

import { useEffect, useId, useMemo, useState } from 'preact/hooks';

import type { ApiError } from '../api/client';
import { images as nativeImages, type Image } from '../api/native';
import { useQuery } from '../api/query';
import { rdsImages, type RdsImage } from '../api/rds';
import { useCommands } from '../commands';
import { bytes, duration } from '../format';
import { navigate } from '../router';
import { useStore } from '../store';
import {
  Age, Badge, Button, Dialog, Empty, ErrorBox, Icon, IconButton, Id, Loading, Menu, PageHeader, Progress, Search, Segmented, Table, TextField,
  confirm, toast, type Column,
} from '../ui';
import { PARTS, PART_NAMES, cancelUpload, forgetUpload, isUnderWay, uploadParts, uploads, uploadsOf, type Part, type Upload } from '../uploads';

const POLL_MS = 10_000;

const bare = (id: string) => id.replace(/^img-/, '');
// What a launch calls it.
const launchName = (i: RdsImage) => (i.builtin ? i.name : bare(i.id));

// --- Choosing files ---

function FileChoice({ part, file, onFile }: { part: Part; file: File | undefined; onFile: (file: File | undefined) => void }) {
  const id = useId(), [over, setOver] = useState(false);
  const hint = part === 'kernel' ? 'x86-64: a bzImage (vmlinuz), or vmlinux' : 'ext4, of any size up to 64 GiB';
  return (
    <div class="field">
      <label for={id}>{PART_NAMES[part]}</label>
      <div class={`drop ${over ? 'is-over' : ''}`}
        onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)}
        onDrop={(e) => { e.preventDefault(); setOver(false); onFile(e.dataTransfer?.files[0]); }}>
        <Icon name={file ? 'file' : 'upload'} />
        <span class="grow drop-text">
          {file ? <><strong>{file.name}</strong> <span class="muted num">{bytes(file.size)}</span></> : <span class="muted">{hint}</span>}
        </span>
        <input id={id} type="file" class="drop-input" onChange={(e) => onFile(e.currentTarget.files?.[0])} />
        <span class="button is-small" aria-hidden="true">{file ? 'Another…' : 'Choose…'}</span>
      </div>
    </div>
  );
}

type Files = Partial<Record<Part, File>>;

// --- Making one, and giving files to one that is there ---

function CreateDialog({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [name, setName] = useState(''), [description, setDescription] = useState(''), [files, setFiles] = useState<Files>({});
  const [busy, setBusy] = useState(false), [error, setError] = useState<ApiError>();
  const complete = name.trim() !== '' && description.trim() !== '';
  const submit = async () => {
    if (!complete || busy) return;
    setBusy(true);
    try {
      const made = await rdsImages.create({ name: name.trim(), description: description.trim() });
      onClose();
      onCreated();
      await uploadParts(made, files);
      onCreated();
    } catch (e) {
      setError(e as ApiError);
      setBusy(false);
    }
  };
  const fieldError = (field: string) => (error?.field === field ? error.message : undefined);
  return (
    <Dialog
      title="Add an image" onClose={onClose} onSubmit={submit}
      footer={<>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" busy={busy} disabled={!complete}>{files.kernel || files.rootfs ? 'Add and upload' : 'Add'}</Button>
      </>}
    >
      <TextField label="Name" value={name} maxLength={128} autofocus onInput={setName} error={fieldError('name')} />
      <TextField label="Description" value={description} maxLength={1024} onInput={setDescription} hint="What is in it" error={fieldError('description')} />
      {PARTS.map((part) => <FileChoice key={part} part={part} file={files[part]} onFile={(file) => setFiles({ ...files, [part]: file })} />)}
      <p class="hint">
        Both files can also be given later. Holm adds its agent when it boots. <a href="/docs/images.html">What a kernel needs</a>
      </p>
      {error && !error.field && <p class="field-error" role="alert">{error.message}</p>}
    </Dialog>
  );
}

function UploadDialog({ image, onClose, onDone }: { image: RdsImage; onClose: () => void; onDone: () => void }) {
  const [files, setFiles] = useState<Files>({});
  const some = Boolean(files.kernel || files.rootfs);
  const submit = () => {
    if (!some) return;
    onClose();
    void uploadParts(image, files).then(onDone);
  };
  return (
    <Dialog
      title={`Upload to ${image.name}`} onClose={onClose} onSubmit={submit}
      footer={<><Button onClick={onClose}>Cancel</Button><Button type="submit" variant="primary" disabled={!some}>Upload</Button></>}
    >
      {PARTS.map((part) => <FileChoice key={part} part={part} file={files[part]} onFile={(file) => setFiles({ ...files, [part]: file })} />)}
      {(image.hasKernel || image.hasRootfs) && <p class="hint">A file that is replaced stays with the VMs and snapshots that were made from it.</p>}
    </Dialog>
  );
}

// --- Uploads under way ---

function remaining(u: Upload): string {
  const { sent, total, bytesPerSecond } = u.progress;
  if (u.state === 'waiting') return 'waits for the one before';
  if (u.state === 'checking') return 'all is sent; the file is checked';
  if (!bytesPerSecond) return 'begins';
  return `${bytes(sent)} of ${bytes(total)}, ${bytes(bytesPerSecond)}/s, ${duration((total - sent) / bytesPerSecond)} left`;
}

function UploadLine({ u, retry }: { u: Upload; retry: () => void }) {
  const what = <><strong>{PART_NAMES[u.part]}</strong> of {u.imageName} <span class="muted">{u.fileName}</span></>;
  if (u.state === 'failed' || u.state === 'cancelled') {
    return (
      <li class={`upload ${u.state === 'failed' ? 'is-failed' : ''}`} role={u.state === 'failed' ? 'alert' : undefined}>
        <Icon name={u.state === 'failed' ? 'warning' : 'close'} />
        <div class="grow">
          <p>{what}</p>
          <p class={u.state === 'failed' ? 'upload-error' : 'muted'}>{u.error ?? 'Cancelled; what was there before is still there.'}</p>
        </div>
        <Button small icon="upload" onClick={retry}>Choose a file</Button>
        <IconButton small icon="close" label="Close message" onClick={() => forgetUpload(u)} />
      </li>
    );
  }
  return (
    <li class="upload">
      <Icon name="upload" />
      <div class="grow">
        <p>{what}</p>
        <Progress value={u.progress.sent} max={u.progress.total || 1} label={`${PART_NAMES[u.part]} of ${u.imageName}`} />
        <p class="muted num">{remaining(u)}</p>
      </div>
      <Button small onClick={() => cancelUpload(u)}>Cancel</Button>
    </li>
  );
}

function Uploads({ list, images, retry }: { list: Upload[]; images: RdsImage[]; retry: (image: RdsImage) => void }) {
  const shown = list.filter((u) => u.state !== 'done');
  if (shown.length === 0) return null;
  return (
    <ul class="uploads panel" aria-label="Uploads">
      {shown.map((u) => (
        <UploadLine key={`${u.imageId}${u.part}`} u={u} retry={() => {
          const image = images.find((i) => i.id === u.imageId);
          if (image) retry(image); else forgetUpload(u);
        }} />
      ))}
    </ul>
  );
}

// --- The list ---

interface Row extends RdsImage {
  native?: Image; // the same in the native API, which knows its state
}

// What else is to be said of its state, in words below the badge.
function detailOf(i: Row): string | undefined {
  const missing = PARTS.filter((part) => !(part === 'kernel' ? i.hasKernel : i.hasRootfs)).map((part) => PART_NAMES[part].toLowerCase());
  if (missing.length) return `Needs ${missing.join(' and ')}`;
  return i.native && i.native.state !== 'ready' ? i.native.detail : undefined;
}

function State({ row, mine }: { row: Row; mine: Upload[] }) {
  if (mine.some(isUnderWay)) return <Badge tone="accent" dot="pulse">Uploading</Badge>;
  if (!row.hasKernel || !row.hasRootfs) return <Badge tone="warn" dot>Incomplete</Badge>;
  const state = row.native?.state ?? 'ready';
  if (state === 'failed' || state === 'missing') return <Badge tone="bad" dot>{state === 'failed' ? 'Failed' : 'Missing'}</Badge>;
  return state === 'ready' ? <Badge tone="good" dot>Ready</Badge> : <Badge tone="accent" dot="pulse">Preparing</Badge>;
}

interface Actions {
  upload: (image: RdsImage) => void;
  makeDefault: (image: RdsImage) => void;
  remove: (image: RdsImage) => void;
}

function menuOf(i: Row, actions: Actions) {
  const whole = i.hasKernel && i.hasRootfs;
  return [
    { label: 'Create a VM', icon: 'play' as const, disabled: !whole, onSelect: () => navigate(`/vms?create=1&image=${encodeURIComponent(launchName(i))}`) },
    { label: 'Make it the default', icon: 'star' as const, disabled: !whole || i.isDefault, onSelect: () => actions.makeDefault(i) },
    !i.builtin && { label: whole ? 'Replace files' : 'Upload files', icon: 'upload' as const, onSelect: () => actions.upload(i) },
    !i.builtin && { label: 'Delete', icon: 'trash' as const, danger: true, separated: true, onSelect: () => actions.remove(i) },
  ];
}

function columns(list: Upload[], actions: Actions): Column<Row>[] {
  return [
    {
      key: 'name', label: 'Name', card: 'title', sort: (i) => i.name,
      render: (i) => (
        <div class="cell-name">
          <span class="row"><strong>{i.name}</strong>{i.isDefault && <Badge tone="accent">Default</Badge>}</span>
          {i.description && <span class="muted">{i.description}</span>}
        </div>
      ),
    },
    { key: 'origin', label: 'From', sort: (i) => Number(!i.builtin), render: (i) => (i.builtin ? 'Built in' : 'Uploaded') },
    {
      key: 'state', label: 'State', sort: (i) => Number(i.hasKernel) + Number(i.hasRootfs),
      render: (i) => (
        <div class="cell-name">
          <span><State row={i} mine={uploadsOf(list, i.id)} /></span>
          {detailOf(i) && <span class="muted">{detailOf(i)}</span>}
        </div>
      ),
    },
    { key: 'size', label: 'Disk', align: 'right', sort: (i) => i.baseRootfsBytes ?? 0, render: (i) => <span class="num">{bytes(i.baseRootfsBytes)}</span> },
    { key: 'age', label: 'Created', align: 'right', sort: (i) => -Date.parse(i.createdAt), render: (i) => <Age time={i.createdAt} suffix=" ago" /> },
    { key: 'id', label: 'Id', render: (i) => <Id id={bare(i.id)} /> },
    {
      key: 'actions', label: 'Actions', hideLabel: true, align: 'right', card: 'actions',
      render: (i) => <Menu label={`Actions for ${i.name}`} items={menuOf(i, actions)} />,
    },
  ];
}

async function load(signal: AbortSignal): Promise<Row[]> {
  const [list, native] = await Promise.all([rdsImages.list(signal), nativeImages.list(signal)]);
  return list.map((i) => ({ ...i, native: native.find((n) => (n.id ? n.id === bare(i.id) : i.builtin && n.name === i.name)) }));
}

async function makeDefault(image: RdsImage, done: () => void) {
  try {
    await rdsImages.setDefault(image.id);
    toast.done(`VMs that name no image are made from ${image.name}`);
    done();
  } catch (e) {
    toast.error(e);
  }
}

function remove(image: RdsImage, done: () => void) {
  void confirm({
    title: `Delete ${image.name}?`, text: 'Its kernel and root file system are removed. This cannot be undone.', action: 'Delete the image', danger: true,
    run: async () => {
      uploadsOf(uploads.get(), image.id).filter(isUnderWay).forEach(cancelUpload);
      await rdsImages.remove(image.id);
      uploadsOf(uploads.get(), image.id).forEach(forgetUpload);
    },
  }).then((yes) => { if (yes) { toast.done('The image is deleted'); done(); } });
}

export function ImagesPage(_: { params: Record<string, string> }) {
  const query = useQuery('images', load, { everyMs: POLL_MS, onEvent: (e) => e.type.startsWith('image.') });
  const list = useStore(uploads);
  const [creating, setCreating] = useState(false), [uploading, setUploading] = useState<RdsImage>();
  const [origin, setOrigin] = useState<'all' | 'own'>('all'), [text, setText] = useState('');
  useCommands('Images', () => [{ label: 'Add an image', icon: 'plus', keys: 'n', run: () => setCreating(true) }], []);
  // What was uploaded shows in the list.
  const done = list.filter((u) => u.state === 'done').length;
  useEffect(() => { if (done) query.reload(); }, [done]);

  const actions: Actions = useMemo(() => ({
    upload: setUploading,
    makeDefault: (i) => void makeDefault(i, query.reload),
    remove: (i) => remove(i, query.reload),
  }), [query.reload]);
  const words = text.trim().toLowerCase(), all = query.data ?? [];
  const rows = all.filter((i) => (origin === 'all' || !i.builtin) && `${i.name} ${i.description} ${i.id}`.toLowerCase().includes(words));
  const add = <Button variant="primary" icon="plus" onClick={() => setCreating(true)}>Add image</Button>;
  return (
    <>
      <PageHeader title="Images" subtitle="What VMs boot from" actions={add} />
      {query.error && <ErrorBox error={query.error} retry={query.reload} />}
      <Uploads list={list} images={all} retry={setUploading} />
      {query.loading ? <Loading /> : query.data && (
        <>
          <div class="toolbar">
            <Search label="Filter images" value={text} onInput={setText} />
            <Segmented label="Which images" value={origin} onInput={setOrigin} options={[{ value: 'all', label: 'All' }, { value: 'own', label: 'Uploaded' }]} />
          </div>
          <Table
            label="Images" rows={rows} columns={columns(list, actions)} rowKey={(i) => i.id}
            empty={words || all.some((i) => !i.builtin)
              ? <Empty icon="search" title="No image is like that">Clear the filter to see the others.</Empty>
              : <Empty icon="images" title="No images of your own yet" actions={add}>Upload a kernel and a root file system, and VMs boot from them.</Empty>}
          />
        </>
      )}
      {creating && <CreateDialog onClose={() => setCreating(false)} onCreated={query.reload} />}
      {uploading && <UploadDialog key={uploading.id} image={uploading} onClose={() => setUploading(undefined)} onDone={query.reload} />}
    </>
  );
}

// SPDX-License-Identifier: Apache-2.0
// A secret that is shown once. It is not closed by accident: before it was copied, closing asks once.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { Button, Dialog, Note, copyText, toast } from '../../ui';

export function SecretDialog({ title, secret, label, children, onClose }: {
  title: string; secret: string; label: string; children?: ComponentChildren; onClose: () => void;
}) {
  const [copied, setCopied] = useState(false), [warned, setWarned] = useState(false);
  const close = () => { if (copied || warned) onClose(); else setWarned(true); };
  const copy = async () => {
    if (await copyText(secret)) setCopied(true);
    else { toast.error('The browser does not allow copying here: select it and press Ctrl-C'); setWarned(true); }
  };
  return (
    <Dialog
      title={title} onClose={close}
      footer={<Button variant={copied ? 'primary' : 'default'} onClick={close}>{warned && !copied ? 'Close without copying' : 'Done'}</Button>}
    >
      <p class="dialog-text">Keep it now: it is shown this once, and cannot be had again.</p>
      <div class="secret">
        <code aria-label={label}>{secret}</code>
        <Button variant={copied ? 'default' : 'primary'} icon={copied ? 'check' : 'copy'} onClick={copy} autofocus>{copied ? 'Copied' : 'Copy'}</Button>
      </div>
      {warned && !copied && <Note tone="warn">It was not copied yet.</Note>}
      {children}
    </Dialog>
  );
}

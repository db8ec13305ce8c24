// SPDX-License-Identifier: Apache-2.0
// Dialogs, by the browser's own <dialog>: it holds the focus, closes on Esc and gives the focus back.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

import { messageOf } from '../api/client';
import { createStore, useStore } from '../store';
import { Button, IconButton } from './basics';
import { TextField } from './form';

export function Dialog({ title, children, footer, onClose, wide, onSubmit }: {
  title: string; children: ComponentChildren; footer?: ComponentChildren; onClose: () => void; wide?: boolean;
  onSubmit?: () => void; // by Enter or a button of type submit
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current!, before = document.activeElement as HTMLElement | null;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const inside = (
    <>
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <IconButton icon="close" label="Close" onClick={onClose} />
      </div>
      <div class="dialog-body">{children}</div>
      {footer && <div class="dialog-foot">{footer}</div>}
    </>
  );
  return (
    <dialog
      ref={ref} class={`dialog ${wide ? 'is-wide' : ''}`} aria-labelledby={id}
      onCancel={(e) => { e.preventDefault(); onClose(); }}
      onPointerDown={(e) => { if (e.target === e.currentTarget) onClose(); }}
      onKeyDown={(e) => e.stopPropagation()}
    >
      {onSubmit
        ? <form noValidate onSubmit={(e) => { e.preventDefault(); onSubmit(); }}>{inside}</form>
        : <div>{inside}</div>}
    </dialog>
  );
}

// --- Questions that any code may ask: await confirm({...}) ---

interface Question {
  title: string;
  text?: ComponentChildren;
  action: string; // what the button says: "Delete 3 VMs"
  danger?: boolean;
  field?: { label: string; value: string; hint?: string };
  // Does it, while the dialog shows that it is busy; what it throws is shown there.
  run?: (value: string) => Promise<unknown>;
}

interface Asked extends Question {
  answer: (value: string | null) => void;
}

const asked = createStore<Asked | null>(null);

function ask(question: Question): Promise<string | null> {
  asked.get()?.answer(null);
  return new Promise((resolve) => {
    asked.set({ ...question, answer: (value) => { asked.set(null); resolve(value); } });
  });
}

export const confirm = async (question: Omit<Question, 'field'>) => (await ask(question)) !== null;
// null: it was closed without an answer.
export const prompt = (question: Question & { field: NonNullable<Question['field']> }) => ask(question);

function QuestionDialog({ question }: { question: Asked }) {
  const [value, setValue] = useState(question.field?.value ?? '');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const submit = async () => {
    if (busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await question.run?.(value);
      question.answer(value);
    } catch (e) {
      setError(messageOf(e));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={question.title} onClose={() => question.answer(null)} onSubmit={submit}
      footer={<>
        <Button onClick={() => question.answer(null)}>Cancel</Button>
        <Button type="submit" variant={question.danger ? 'danger' : 'primary'} busy={busy}>{question.action}</Button>
      </>}
    >
      {question.text && <div class="dialog-text">{question.text}</div>}
      {question.field && (
        <TextField label={question.field.label} hint={question.field.hint} value={value} onInput={setValue} autofocus error={error} />
      )}
      {error && !question.field && <p class="field-error" role="alert">{error}</p>}
    </Dialog>
  );
}

export function Questions() {
  const question = useStore(asked);
  return question && <QuestionDialog key={question.title} question={question} />;
}

// SPDX-License-Identifier: Apache-2.0
// Form controls: each with its label, its hint and what is wrong with it.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

import { Icon } from './icons';

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string;
  optional?: boolean;
}

function Frame({ id, label, hint, error, optional, children }: FieldProps & { id: string; children: ComponentChildren }) {
  return (
    <div class={`field ${error ? 'has-error' : ''}`}>
      <label for={id}>{label}{optional && <span class="muted"> optional</span>}</label>
      {children}
      {error ? <p class="field-error" id={`${id}-note`} role="alert">{error}</p>
        : hint && <p class="hint" id={`${id}-note`}>{hint}</p>}
    </div>
  );
}

// What a control may be told besides.
interface ControlProps {
  name?: string;
  disabled?: boolean;
  autofocus?: boolean;
  class?: string;
  'aria-label'?: string;
}

interface InputProps extends ControlProps {
  type?: 'text' | 'email' | 'password' | 'number' | 'url' | 'datetime-local' | 'date';
  autocomplete?: 'off' | 'username' | 'current-password';
  placeholder?: string;
  inputMode?: 'numeric' | 'decimal' | 'text';
  min?: number | string;
  max?: number | string;
  step?: number | string;
  maxLength?: number;
  onKeyDown?: (e: KeyboardEvent) => void;
}

interface TextAreaProps extends ControlProps {
  rows?: number;
  placeholder?: string;
  onKeyDown?: (e: KeyboardEvent) => void;
}

export function TextField({ label, hint, error, optional, value, onInput, type = 'text', autocomplete = 'off', ...rest }: FieldProps & {
  value: string; onInput: (value: string) => void;
} & InputProps) {
  const id = useId(), input = useRef<HTMLInputElement>(null);
  // The attribute alone counts only for what is there when a dialog opens.
  useEffect(() => { if (rest.autofocus) input.current?.focus(); }, []);
  return (
    <Frame {...{ id, label, hint, error, optional }}>
      <input {...rest} ref={input} type={type as 'text'} autocomplete={autocomplete} spellcheck={false} id={id} value={value} aria-invalid={error ? true : undefined}
        aria-describedby={hint || error ? `${id}-note` : undefined} onInput={(e) => onInput(e.currentTarget.value)} />
    </Frame>
  );
}

export function TextArea({ label, hint, error, optional, value, onInput, ...rest }: FieldProps & {
  value: string; onInput: (value: string) => void;
} & TextAreaProps) {
  const id = useId();
  return (
    <Frame {...{ id, label, hint, error, optional }}>
      <textarea spellcheck={false} rows={3} {...rest} id={id} value={value} aria-invalid={error ? true : undefined}
        aria-describedby={hint || error ? `${id}-note` : undefined} onInput={(e) => onInput(e.currentTarget.value)} />
    </Frame>
  );
}

export interface Option {
  value: string;
  label: string;
  disabled?: boolean;
}

export function Select({ label, hint, error, optional, value, options, onInput, ...rest }: FieldProps & {
  value: string; options: Option[]; onInput: (value: string) => void;
} & ControlProps) {
  const id = useId();
  return (
    <Frame {...{ id, label, hint, error, optional }}>
      <SelectBox {...rest} id={id} value={value} options={options} onInput={onInput} describedBy={hint || error ? `${id}-note` : undefined} />
    </Frame>
  );
}

// A select without a frame; give it an aria-label.
export function SelectBox({ value, options, onInput, describedBy, id, ...rest }: {
  value: string; options: Option[]; onInput: (value: string) => void; describedBy?: string; id?: string;
} & ControlProps) {
  return (
    <span class="select">
      <select {...rest} id={id} value={value} aria-describedby={describedBy} onInput={(e) => onInput(e.currentTarget.value)}>
        {options.map((o) => <option key={o.value} value={o.value} disabled={o.disabled} selected={o.value === value}>{o.label}</option>)}
      </select>
      <Icon name="down" />
    </span>
  );
}

export function Check({ label, hint, checked, onInput, disabled }: {
  label: ComponentChildren; hint?: ComponentChildren; checked: boolean; onInput: (checked: boolean) => void; disabled?: boolean;
}) {
  const id = useId();
  return (
    <div class="check">
      <input type="checkbox" id={id} checked={checked} disabled={disabled} aria-describedby={hint ? `${id}-note` : undefined}
        onInput={(e) => onInput(e.currentTarget.checked)} />
      <label for={id}>{label}</label>
      {hint && <p class="hint" id={`${id}-note`}>{hint}</p>}
    </div>
  );
}

// One of a few, side by side.
export function Segmented<T extends string>({ label, value, options, onInput }: {
  label: string; value: T; options: { value: T; label: string }[]; onInput: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset class="segmented">
      <legend class="visually-hidden">{label}</legend>
      {options.map((o) => (
        <label key={o.value} class={o.value === value ? 'is-chosen' : ''}>
          <input type="radio" name={name} value={o.value} checked={o.value === value} onInput={() => onInput(o.value)} />
          {o.label}
        </label>
      ))}
    </fieldset>
  );
}

export function Search({ value, onInput, label, inputRef }: {
  value: string; onInput: (value: string) => void; label: string; inputRef?: { current: HTMLInputElement | null };
}) {
  return (
    <span class="search">
      <Icon name="search" />
      <input type="search" placeholder={label} aria-label={label} value={value} ref={inputRef} spellcheck={false} data-search
        onInput={(e) => onInput(e.currentTarget.value)}
        onKeyDown={(e) => { if (e.key === 'Escape') { onInput(''); e.currentTarget.blur(); } }} />
    </span>
  );
}

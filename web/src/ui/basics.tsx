// SPDX-License-Identifier: Apache-2.0
// The small parts of every page.

import type { ButtonHTMLAttributes, ComponentChildren, Ref } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';

import { messageOf } from '../api/client';
import { age, dateTime } from '../format';
import { Link } from '../router';
import { Icon, type IconName } from './icons';
import { toast } from './toast';

type Variant = 'default' | 'primary' | 'danger' | 'ghost';

type ButtonProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'icon' | 'size' | 'ref'> & {
  variant?: Variant;
  icon?: IconName;
  small?: boolean;
  busy?: boolean;
  buttonRef?: Ref<HTMLButtonElement>;
};

export function Button({ variant = 'default', icon, small, busy, children, buttonRef, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      ref={buttonRef}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      class={`button is-${variant} ${small ? 'is-small' : ''} ${rest.class ?? ''}`}
    >
      {busy ? <Spinner /> : icon && <Icon name={icon} />}
      {children && <span>{children}</span>}
    </button>
  );
}

// A button that is only an icon: the label is what it is called and its tooltip.
export function IconButton({ label, icon, variant = 'ghost', ...rest }: Omit<ButtonProps, 'children'> & { label: string; icon: IconName }) {
  return <Button {...rest} variant={variant} icon={icon} aria-label={label} title={label} class={`is-icon ${rest.class ?? ''}`} />;
}

export function Spinner({ label }: { label?: string }) {
  return <span class="spinner" role={label ? 'status' : undefined} aria-label={label} aria-hidden={label ? undefined : true} />;
}

export type Tone = 'neutral' | 'good' | 'warn' | 'bad' | 'info' | 'accent';

export function Badge({ tone = 'neutral', dot, children, title }: {
  tone?: Tone; dot?: boolean | 'pulse'; children: ComponentChildren; title?: string;
}) {
  return (
    <span class={`badge tone-${tone}`} title={title}>
      {dot && <span class={`dot ${dot === 'pulse' ? 'is-pulsing' : ''}`} aria-hidden="true" />}
      {children}
    </span>
  );
}

export function Progress({ value, max = 1, label }: { value: number; max?: number; label: string }) {
  const part = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  return (
    <div class="progress" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(part * 100)}>
      <div style={{ width: `${part * 100}%` }} />
    </div>
  );
}

// A bar of how much of something is used; red when little is left.
export function Meter({ value, max, label }: { value: number; max: number; label: string }) {
  const part = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  return (
    <div class={`meter ${part > 0.9 ? 'is-full' : part > 0.75 ? 'is-high' : ''}`} role="meter" aria-label={label}
      aria-valuemin={0} aria-valuemax={max} aria-valuenow={value}>
      <div style={{ width: `${part * 100}%` }} />
    </div>
  );
}

export function PageHeader({ title, subtitle, actions, back }: {
  title: ComponentChildren; subtitle?: ComponentChildren; actions?: ComponentChildren; back?: { href: string; label: string };
}) {
  return (
    <header class="page-header">
      <div class="page-title">
        {back && <Link class="back" href={back.href}>{back.label}</Link>}
        <h1 tabIndex={-1}>{title}</h1>
        {subtitle && <div class="subtitle">{subtitle}</div>}
      </div>
      {actions && <div class="actions">{actions}</div>}
    </header>
  );
}

export function Panel({ title, actions, children, flush, class: cls }: {
  title?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; flush?: boolean; class?: string;
}) {
  const id = useId();
  return (
    <section class={`panel ${flush ? 'is-flush' : ''} ${cls ?? ''}`} aria-labelledby={title ? id : undefined}>
      {(title || actions) && (
        <div class="panel-head">
          <h2 id={id}>{title}</h2>
          {actions && <div class="actions">{actions}</div>}
        </div>
      )}
      <div class="panel-body">{children}</div>
    </section>
  );
}

// Facts as name and value.
export function Facts({ items }: { items: ([string, ComponentChildren] | false | null | undefined)[] }) {
  return (
    <dl class="facts">
      {items.map((item) => item && (
        <div key={item[0]}><dt>{item[0]}</dt><dd>{item[1]}</dd></div>
      ))}
    </dl>
  );
}

export function Empty({ icon, title, children, actions }: {
  icon?: IconName; title: string; children?: ComponentChildren; actions?: ComponentChildren;
}) {
  return (
    <div class="empty">
      {icon && <Icon name={icon} size={24} />}
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {actions && <div class="actions">{actions}</div>}
    </div>
  );
}

export function ErrorBox({ error, retry, title = 'This could not be loaded' }: { error: unknown; retry?: () => void; title?: string }) {
  return (
    <div class="note tone-bad" role="alert">
      <Icon name="warning" />
      <div><strong>{title}</strong><p>{messageOf(error)}</p></div>
      {retry && <Button small icon="refresh" onClick={retry}>Try again</Button>}
    </div>
  );
}

export function Note({ tone = 'info', children }: { tone?: Tone; children: ComponentChildren }) {
  return (
    <div class={`note tone-${tone}`}>
      <Icon name={tone === 'warn' || tone === 'bad' ? 'warning' : 'info'} />
      <div>{children}</div>
    </div>
  );
}

// Grey bars where rows will be.
export function Loading({ rows = 4, label = 'Loading' }: { rows?: number; label?: string }) {
  return (
    <div class="loading" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, i) => <div key={i} style={{ width: `${92 - (i * 17) % 40}%` }} />)}
    </div>
  );
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages on plain http have no clipboard API: the old way still works there.
    const area = document.createElement('textarea');
    area.value = text;
    area.style.position = 'fixed';
    area.style.opacity = '0';
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = window.setTimeout(() => setCopied(false), 1500);
    return () => window.clearTimeout(timer);
  }, [copied]);
  return (
    <IconButton
      small class="copy" icon={copied ? 'check' : 'copy'} label={copied ? 'Copied' : label}
      onClick={async (e) => {
        e.stopPropagation();
        if (await copyText(text)) setCopied(true);
        else toast.error('The browser does not allow copying here');
      }}
    />
  );
}

// An id: the first part in view, all of it when copied.
export function Id({ id, full }: { id: string; full?: boolean }) {
  return (
    <span class="id">
      <code title={id}>{full ? id : id.slice(0, 8)}</code>
      <Copy text={id} label={`Copy id ${id.slice(0, 8)}`} />
    </span>
  );
}

const NOW_EVERY_MS = 10_000;

// The time, anew every ten seconds, for what says how old things are.
export function useNow(everyMs = NOW_EVERY_MS): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs]);
  return now;
}

// How long ago; the exact time is the tooltip.
export function Age({ time, suffix = '' }: { time: string | number | null | undefined; suffix?: string }) {
  const now = useNow();
  if (!time) return <span class="muted">–</span>;
  return <time title={dateTime(time)} dateTime={new Date(time).toISOString()}>{age(time, now)}{suffix}</time>;
}

export function Kbd({ keys }: { keys: string }) {
  return <span class="keys">{keys.split(' ').map((k, i) => <kbd key={i}>{k}</kbd>)}</span>;
}

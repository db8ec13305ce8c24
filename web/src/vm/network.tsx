// SPDX-License-Identifier: Apache-2.0
// A VM's network policy: as a form, or as the JSON that the API takes (also its older shape).

import { useState } from 'preact/hooks';

import { ApiError, messageOf } from '../api/client';
import { vms, type Axis, type Firewall, type Rule } from '../api/native';
import type { TabProps } from '../pages/vm';
import { linesOf, newRule, ruleProblem } from '../policy';
import { Button, Check, IconButton, Note, Panel, Segmented, SelectBox, TextArea, toast } from '../ui';

type Whole = Required<Firewall>;

const PROTOCOLS = ['any', 'tcp', 'udp'];

function wholeAxis(a: Partial<Axis> | undefined, base: Axis['default']): Axis {
  const rule = (r: Partial<Rule>) => ({
    ...r, kind: r.kind ?? 'cidr', value: String(r.value ?? ''), protocol: String(r.protocol ?? 'any'), ports: String(r.ports ?? 'any'),
  });
  return { default: a?.default ?? base, rules: [...(a?.rules ?? [])].map(rule) as Rule[] };
}

// With what the daemon adds where it was left out. Throws when it is too far from a policy for the form.
function whole(f: Firewall): Whole {
  return {
    ingress: wholeAxis(f.ingress, 'deny'),
    egress: wholeAxis(f.egress, 'allow'),
    dns: { mode: f.dns?.mode ?? 'deny', domains: [...(f.dns?.domains ?? [])].map(String), blockBypass: f.dns?.blockBypass === true },
  };
}

const trimmed = (a: Axis): Axis => ({ ...a, rules: a.rules.map((r) => ({ ...r, value: r.value.trim(), ports: r.ports.trim() || 'any' })) });

export function NetworkTab({ vm, query }: TabProps) {
  const now = whole(vm.effectiveFirewall);
  const [draft, setDraft] = useState<Whole>(now), [base, setBase] = useState(JSON.stringify(now));
  const [view, setView] = useState<'form' | 'json'>('form'), [text, setText] = useState('');
  const [busy, setBusy] = useState(false), [error, setError] = useState<string>();

  // Somebody else changed it: shown at once unless something was changed here.
  const isChanged = view === 'form' ? JSON.stringify(draft) !== base : text !== JSON.stringify(JSON.parse(base), null, 2);
  if (!isChanged && JSON.stringify(now) !== base) {
    setBase(JSON.stringify(now));
    setDraft(now);
    setText(JSON.stringify(now, null, 2));
  }
  const reset = () => { setDraft(now); setBase(JSON.stringify(now)); setText(JSON.stringify(now, null, 2)); setError(undefined); };
  const show = (next: 'form' | 'json') => {
    setError(undefined);
    if (next === 'json') setText(JSON.stringify(draft, null, 2));
    else {
      try {
        const parsed = JSON.parse(text) as Firewall & { mode?: string };
        // The older shape is for the daemon to translate.
        if (parsed.mode) { setError('The older shape can be saved as it is; the form shows what becomes of it.'); return; }
        setDraft(whole(parsed));
      } catch (e) { setError(e instanceof SyntaxError ? 'This is no JSON yet.' : 'This is no policy yet.'); return; }
    }
    setView(next);
  };
  const save = async () => {
    if (busy) return;
    setError(undefined);
    let body: unknown = { ...draft, ingress: trimmed(draft.ingress), egress: trimmed(draft.egress) };
    if (view === 'json') {
      try { body = JSON.parse(text); } catch (e) { setError(`This is no JSON: ${messageOf(e)}`); return; }
    } else {
      for (const rule of [...draft.ingress.rules, ...draft.egress.rules]) {
        const problem = ruleProblem(rule);
        if (problem) { setError(problem); return; }
      }
    }
    setBusy(true);
    try {
      const changed = await vms.setFirewall(vm.id, body);
      const next = whole(changed.effectiveFirewall);
      query.setData(changed);
      setDraft(next);
      setBase(JSON.stringify(next));
      setText(JSON.stringify(next, null, 2));
      toast.done('The policy counts from now on');
    } catch (e) {
      setError(e instanceof ApiError && e.field ? `${e.message} (${e.field})` : messageOf(e));
    }
    setBusy(false);
  };

  return (
    <form class="stack" onSubmit={(e) => { e.preventDefault(); void save(); }} noValidate>
      <div class="toolbar is-flush">
        <Segmented label="View" value={view} onInput={show} options={[{ value: 'form', label: 'Form' }, { value: 'json', label: 'JSON' }]} />
        <span class="grow" />
        <Button onClick={reset} disabled={!isChanged}>Undo</Button>
        <Button type="submit" variant="primary" busy={busy} disabled={!isChanged}>Save policy</Button>
      </div>
      {error && <Note tone="bad"><span role="alert">{error}</span></Note>}
      {view === 'json'
        ? <TextArea label="Policy" rows={24} value={text} onInput={setText} hint="As the API takes it. The older shape, with “mode”, is understood too." />
        : <>
          <AxisForm title="Outbound: what the VM may reach" side="egress" axis={draft.egress} onInput={(egress) => setDraft({ ...draft, egress })} />
          <AxisForm title="Inbound: who may reach the VM" side="ingress" axis={draft.ingress} onInput={(ingress) => setDraft({ ...draft, ingress })} />
          <DnsForm dns={draft.dns} onInput={(dns) => setDraft({ ...draft, dns })} />
        </>}
    </form>
  );
}

const DEFAULTS: { value: Axis['default']; label: string }[] = [{ value: 'allow', label: 'Allow' }, { value: 'deny', label: 'Deny' }];

function AxisForm({ title, side, axis, onInput }: { title: string; side: 'egress' | 'ingress'; axis: Axis; onInput: (axis: Axis) => void }) {
  const change = (i: number, part: Partial<Rule>) => onInput({ ...axis, rules: axis.rules.map((r, j) => (j === i ? { ...r, ...part } : r)) });
  const move = (i: number, by: number) => {
    const rules = [...axis.rules], [rule] = rules.splice(i, 1);
    rules.splice(i + by, 0, rule);
    onInput({ ...axis, rules });
  };
  const n = axis.rules.length;
  return (
    <Panel title={title} actions={<Button small icon="plus" onClick={() => onInput({ ...axis, rules: [...axis.rules, newRule(axis.default === 'allow' ? 'deny' : 'allow')] })}>Add rule</Button>}>
      {n > 0 && (
        <ol class="rules">
          {axis.rules.map((r, i) => {
            const problem = r.value ? ruleProblem(r) : undefined, name = `rule ${i + 1}`;
            return (
              <li key={i}>
                <SelectBox aria-label={`Action of ${name}`} value={r.action} onInput={(v) => change(i, { action: v as Rule['action'] })} options={DEFAULTS} />
                <SelectBox aria-label={`Kind of ${name}`} value={r.kind} onInput={(v) => change(i, { kind: v as Rule['kind'] })}
                  options={side === 'egress' ? [{ value: 'cidr', label: 'address' }, { value: 'fqdn', label: 'name' }] : [{ value: 'cidr', label: 'address' }]} />
                <input class="mono" aria-label={`Target of ${name}`} value={r.value} placeholder={r.kind === 'cidr' ? '203.0.113.0/24' : '*.example.com'} spellcheck={false}
                  aria-invalid={problem ? true : undefined} onInput={(e) => change(i, { value: e.currentTarget.value })} />
                <SelectBox aria-label={`Protocol of ${name}`} value={r.protocol}
                  onInput={(protocol) => change(i, protocol === 'any' ? { protocol, ports: 'any' } : { protocol })}
                  options={[...new Set([...PROTOCOLS, r.protocol])].map((p) => ({ value: p, label: p === 'any' ? 'any protocol' : p }))} />
                <input class="mono" aria-label={`Ports of ${name}`} value={r.ports} placeholder="any" disabled={r.protocol === 'any' && r.ports === 'any'}
                  title={r.protocol === 'any' ? 'Ports are those of tcp or udp' : undefined} onInput={(e) => change(i, { ports: e.currentTarget.value })} />
                <span class="row-actions">
                  <IconButton small icon="up" label={`Move ${name} up`} disabled={i === 0} onClick={() => move(i, -1)} />
                  <IconButton small icon="down" label={`Move ${name} down`} disabled={i === n - 1} onClick={() => move(i, 1)} />
                  <IconButton small icon="trash" label={`Remove ${name}`} onClick={() => onInput({ ...axis, rules: axis.rules.filter((_, j) => j !== i) })} />
                </span>
                {problem && <p class="field-error" role="alert">{problem}</p>}
              </li>
            );
          })}
        </ol>
      )}
      <div class="row axis-default"><span>{n ? 'Everything else' : 'Everything'}</span>
        <Segmented label={`Default, ${side}`} value={axis.default} onInput={(d) => onInput({ ...axis, default: d })} options={DEFAULTS} /></div>
      {n > 1 && <p class="hint">The first rule that fits decides.</p>}
    </Panel>
  );
}

function DnsForm({ dns, onInput }: { dns: Whole['dns']; onInput: (dns: Whole['dns']) => void }) {
  const [text, setText] = useState(dns.domains.join('\n'));
  // What is typed stays as it is typed; a policy from elsewhere replaces it.
  const shown = linesOf(text).join('\n') === dns.domains.join('\n') ? text : dns.domains.join('\n');
  return (
    <Panel title="Names: what is resolved">
      <div class="form">
        <Segmented label="DNS" value={dns.mode} onInput={(mode) => onInput({ ...dns, mode })}
          options={[{ value: 'deny', label: 'All but these' }, { value: 'allow', label: 'Only these' }]} />
        <TextArea label="Domains" rows={3} value={shown} placeholder={'example.com\n*.example.org'} onInput={(v) => { setText(v); onInput({ ...dns, domains: linesOf(v) }); }} />
        <Check label="Block ways around" checked={dns.blockBypass} onInput={(blockBypass) => onInput({ ...dns, blockBypass })}
          hint="DNS over TLS and QUIC, and known public resolvers over HTTPS." />
      </div>
    </Panel>
  );
}

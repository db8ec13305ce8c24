// SPDX-License-Identifier: Apache-2.0
// Network policies as forms show them: presets for the usual ones, and what is wrong with a rule
// before the daemon has to say it.

import type { Axis, Firewall, Rule } from './api/native';

export type Preset = 'open' | 'list' | 'none';

const CLOSED: Axis = { default: 'deny', rules: [] };

const isAddress = (text: string) => /^[0-9a-f:.]+(\/\d{1,3})?$/i.test(text) && /[.:]/.test(text) && !/[g-z]/i.test(text);

export function ruleFor(target: string): Rule {
  return { action: 'allow', kind: isAddress(target) ? 'cidr' : 'fqdn', value: target, protocol: 'any', ports: 'any' };
}

// Nothing comes in with any of them. undefined: the daemon's default, which is "open".
export function firewallOf(preset: Preset, targets: string[]): Firewall | undefined {
  if (preset === 'open') return undefined;
  return { ingress: CLOSED, egress: { default: 'deny', rules: preset === 'list' ? targets.map(ruleFor) : [] } };
}

export function ruleProblem(r: Rule): string | undefined {
  const value = r.value.trim();
  if (!value) return 'Say which addresses or names.';
  if (r.kind === 'cidr' && !isAddress(value)) return 'An address or CIDR, such as 10.0.0.0/8.';
  if (r.kind === 'fqdn' && !/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(value)) return 'A name, such as example.com or *.example.com.';
  return portsProblem(r.ports.trim(), r.protocol);
}

function portsProblem(ports: string, protocol: string): string | undefined {
  if (ports === '' || ports === 'any') return undefined;
  const [, first, last = first] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(ports) ?? [];
  if (!first || Number(last) > 65535 || Number(first) > Number(last)) return 'Ports: any, 443 or 8000-8999.';
  return protocol === 'any' ? 'Ports are those of tcp or udp: choose one.' : undefined;
}

export const newRule = (action: Rule['action']): Rule => ({ action, kind: 'cidr', value: '', protocol: 'any', ports: 'any' });

function axisWords(axis: Axis | undefined, open: string, shut: string): string {
  const n = axis?.rules.length ?? 0, base = axis?.default === 'deny' ? shut : open;
  return n ? `${base}, ${n} ${n === 1 ? 'rule' : 'rules'}` : base;
}

export const egressWords = (f: Firewall | null | undefined) => axisWords(f?.egress, 'everything', 'nothing');
export const ingressWords = (f: Firewall | null | undefined) => axisWords(f?.ingress, 'everything', 'nothing');

export const linesOf = (text: string) => text.split(/[\n,]/).map((l) => l.trim()).filter(Boolean);

// SPDX-License-Identifier: Apache-2.0
// Tabs over a panel: arrow keys move between them, as the pattern for tabs wants.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

export interface Tab {
  key: string;
  label: string;
  badge?: ComponentChildren;
}

export function Tabs({ tabs, active, onSelect, label, children }: {
  tabs: Tab[]; active: string; onSelect: (key: string) => void; label: string; children: ComponentChildren;
}) {
  const id = useId(), list = useRef<HTMLDivElement>(null);
  // On narrow screens there are more than fit.
  useEffect(() => {
    const tab = list.current?.querySelector<HTMLElement>('[aria-selected=true]');
    if (tab && list.current!.scrollWidth > list.current!.clientWidth)
      list.current!.scrollLeft = tab.offsetLeft - list.current!.offsetLeft - (list.current!.clientWidth - tab.offsetWidth) / 2;
  }, [active]);
  const onKeyDown = (e: KeyboardEvent) => {
    const at = tabs.findIndex((t) => t.key === active);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const next = (to + tabs.length) % tabs.length;
    onSelect(tabs[next].key);
    list.current?.querySelectorAll<HTMLElement>('[role=tab]')[next]?.focus();
  };
  return (
    <div class="tabs">
      <div class="tab-list" role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {tabs.map((t) => (
          <button key={t.key} type="button" role="tab" id={`${id}-${t.key}`} aria-selected={t.key === active}
            aria-controls={`${id}-panel`} tabIndex={t.key === active ? 0 : -1} onClick={() => onSelect(t.key)}>
            {t.label}{t.badge}
          </button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${active}`} tabIndex={-1}>{children}</div>
    </div>
  );
}

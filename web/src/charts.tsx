// SPDX-License-Identifier: Apache-2.0
// Small charts of values over time, as SVG. Points are [milliseconds since 1970, value]; null is a
// gap.

import { useEffect, useId, useRef, useState } from 'preact/hooks';

import { clock } from './format';

export type Point = readonly [time: number, value: number | null];

export interface Series {
  name: string;
  points: Point[];
}

function path(points: Point[], x: (t: number) => number, y: (v: number) => number): string {
  let text = '', isDown = false;
  for (const [t, v] of points) {
    if (v === null) { isDown = false; continue; }
    text += `${isDown ? 'L' : 'M'}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
    isDown = true;
  }
  return text;
}

// A line without axes, beside a figure. What it shows is written there too.
export function Sparkline({ values, max, width = 56, height = 18 }: { values: number[]; max?: number; width?: number; height?: number }) {
  if (values.length < 2) return <span class="sparkline" style={{ width, height }} />;
  const top = Math.max(max ?? 0, ...values, 1e-9);
  const points = values.map((v, i): Point => [i, v]);
  const d = path(points, (t) => 1 + (t / (values.length - 1)) * (width - 2), (v) => height - 1.5 - (v / top) * (height - 3));
  return <svg class="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true"><path d={d} /></svg>;
}

// The next of 1, 2, 5, 10, ... that is not below: a top that people read well. `base` 1024 for bytes.
function niceTop(value: number, base: number): number {
  if (value <= 0) return 1;
  const unit = base === 1024 ? 1024 ** Math.floor(Math.log(value) / Math.log(1024)) : 1;
  const scaled = value / unit, power = 10 ** Math.floor(Math.log10(scaled));
  const step = [1, 2, 5, 10].find((s) => s * power >= scaled) ?? 10;
  return step * power * unit;
}

const HEIGHT = 112, LEFT = 58, RIGHT = 6, TOP = 8, BOTTOM = 18;

// One or two series with axes; what is under the pointer, or the arrow keys, is read out.
export function TimeChart({ title, series, format, max, windowMs = 300_000, base = 10 }: {
  title: string; series: Series[]; format: (value: number) => string; max?: number; windowMs?: number; base?: 10 | 1024;
}) {
  const frame = useRef<HTMLDivElement>(null), [width, setWidth] = useState(320), [at, setAt] = useState<number | null>(null);
  const id = useId();
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(160, Math.floor(entry.contentRect.width))));
    observer.observe(frame.current!);
    return () => observer.disconnect();
  }, []);

  const first = series[0]?.points ?? [];
  const end = first.length ? first[first.length - 1][0] : Date.now(), start = end - windowMs;
  const shown = series.map((s) => ({ ...s, points: s.points.filter(([t]) => t >= start) }));
  const highest = Math.max(0, ...shown.flatMap((s) => s.points.map(([, v]) => v ?? 0)));
  // A few bytes a second are as good as nothing: they shall not look like a mountain.
  const top = max ?? niceTop(Math.max(highest * 1.05, base === 1024 ? 1024 : 1), base);
  const x = (t: number) => LEFT + ((t - start) / windowMs) * (width - LEFT - RIGHT);
  const y = (v: number) => TOP + (1 - Math.min(1, v / top)) * (HEIGHT - TOP - BOTTOM);
  const ticks = [0, top / 2, top];
  const count = shown[0]?.points.length ?? 0;
  const index = at === null ? count - 1 : Math.min(at, count - 1);
  const time = shown[0]?.points[index]?.[0];

  const nearest = (clientX: number) => {
    const box = frame.current!.getBoundingClientRect(), t = start + ((clientX - box.left - LEFT) / (width - LEFT - RIGHT)) * windowMs;
    const points = shown[0]?.points ?? [];
    let best = 0;
    points.forEach(([pt], i) => { if (Math.abs(pt - t) < Math.abs(points[best][0] - t)) best = i; });
    setAt(points.length ? best : null);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!step || !count) return;
    e.preventDefault();
    setAt(Math.max(0, Math.min(count - 1, index + step)));
  };

  return (
    <figure class="chart">
      <figcaption id={id}>
        <span class="chart-title">{title} <span class="chart-time">{at !== null && time ? clock(time) : ''}</span></span>
        {shown.map((s, i) => {
          const value = s.points[index]?.[1];
          return (
            <span class={`chart-value series-${i}`} key={s.name}>
              {series.length > 1 && <><i aria-hidden="true" />{s.name} </>}
              <b>{value === null || value === undefined ? '–' : format(value)}</b>
            </span>
          );
        })}
      </figcaption>
      <div ref={frame} tabIndex={0} role="group" aria-labelledby={id} class="chart-frame"
        onPointerMove={(e) => nearest(e.clientX)} onPointerLeave={() => setAt(null)} onBlur={() => setAt(null)} onKeyDown={onKeyDown}>
        <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} aria-hidden="true">
          {ticks.map((v) => (
            <g key={v}>
              <line class="chart-grid" x1={LEFT} x2={width - RIGHT} y1={y(v)} y2={y(v)} />
              <text x={LEFT - 8} y={y(v) + 3.5} text-anchor="end">{format(v)}</text>
            </g>
          ))}
          <text x={LEFT} y={HEIGHT - 3}>{`${Math.round(windowMs / 60_000)} min ago`}</text>
          <text x={width - RIGHT} y={HEIGHT - 3} text-anchor="end">now</text>
          {shown.map((s, i) => {
            const d = path(s.points, x, y), known = s.points.filter(([, v]) => v !== null);
            return (
              <g key={s.name} class={`series-${i}`}>
                {i === 0 && known.length > 1 && d.lastIndexOf('M') === 0 && (
                  <path class="chart-area" d={`${d}L${x(known[known.length - 1][0]).toFixed(1)} ${y(0)}L${x(known[0][0]).toFixed(1)} ${y(0)}Z`} />
                )}
                <path class="chart-line" d={d} />
                {at !== null && s.points[index]?.[1] != null && <circle r="3" cx={x(s.points[index][0])} cy={y(s.points[index][1]!)} />}
              </g>
            );
          })}
          {at !== null && time && <line class="chart-cursor" x1={x(time)} x2={x(time)} y1={TOP} y2={HEIGHT - BOTTOM} />}
          {count < 2 && <text x={(LEFT + width) / 2} y={HEIGHT / 2} text-anchor="middle">waiting for values</text>}
        </svg>
      </div>
    </figure>
  );
}

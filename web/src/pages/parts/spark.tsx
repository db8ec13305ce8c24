// SPDX-License-Identifier: Apache-2.0
// A small line of what a figure was over the last minutes. It has no axes: the figure stands beside it.

export function Spark({ values, max, label, tone = 1 }: { values: number[]; max: number; label: string; tone?: 1 | 2 }) {
  const width = 120, height = 32, most = Math.max(max, 1e-9);
  const shown = values.length === 1 ? [values[0], values[0]] : values; // one value is a level line
  const points = shown.map((v, i) => [
    (i / (shown.length - 1)) * width,
    height - 1 - (Math.min(v, most) / most) * (height - 2),
  ]);
  const line = points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  return (
    <svg class={`spark tone-${tone}`} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {points.length > 1 && <><path class="spark-fill" d={`${line}V${height}H0Z`} /><path class="spark-line" d={line} /></>}
    </svg>
  );
}

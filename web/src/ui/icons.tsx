// SPDX-License-Identifier: Apache-2.0
// Icons of 16 x 16 in strokes; they take the colour of the text. They say nothing to screen readers:
// what they stand for is written, or is the label of the button.

const PATHS = {
  vms: 'M2.5 3.5h11v6h-11zM6 12.5h4M8 9.5v3',
  snapshots: 'M4 4.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM4 4.5v7M4 14.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM12 8.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM4 9.5c0-2 2-2.5 6.5-2.5',
  images: 'M8 1.8l5.5 3v6.4l-5.5 3-5.5-3V4.8zM2.7 4.9L8 7.8l5.3-2.9M8 7.8v6.3',
  keys: 'M5.2 13.3a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM7.2 8.7l6-6M11 5l2 2',
  activity: 'M1.5 8.5h3l2-5.5 3 10 2-4.5h3',
  webhooks: 'M5.5 5.5a2.5 2.5 0 1 1 3.8 2.2l2 3.5M8 5.5L5.5 10M4.5 9.2a2.5 2.5 0 1 0 2.4 3.3h4.2M11.5 14a2.2 2.2 0 1 0-1.3-3.9',
  overview: 'M2.5 2.5h4.5v5h-4.5zM9 2.5h4.5v3h-4.5zM9 7.5h4.5v6h-4.5zM2.5 9.5h4.5v4h-4.5z',
  accounts: 'M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.5-2.7 2.5-4 5-4s4.5 1.3 5 4',
  docs: 'M3.5 2.5h6l3 3v8h-9zM9.5 2.5v3h3M5.5 8.5h5M5.5 11h5',
  api: 'M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5M9 3l-2 10',
  plus: 'M8 3v10M3 8h10',
  play: 'M5 3.2v9.6l7.5-4.8z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  stop: 'M4 4h8v8H4z',
  suspend: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
  fork: 'M4.5 5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM11.5 5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM8 14a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM4.5 5v1.5c0 1.5 3.5 1 3.5 4.5M11.5 5v1.5c0 1.5-3.5 1-3.5 4.5',
  camera: 'M2 5h2.5l1-1.5h5L11.5 5H14v8H2zM8 11a2.2 2.2 0 1 0 0-4.4A2.2 2.2 0 0 0 8 11z',
  trash: 'M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9M6.8 7v4M9.2 7v4',
  edit: 'M3 13l.6-2.8L10.8 3l2.2 2.2-7.2 7.2z',
  more: 'M3 8a.5.5 0 1 0 1 0a.5.5 0 1 0-1 0M7.5 8a.5.5 0 1 0 1 0a.5.5 0 1 0-1 0M12 8a.5.5 0 1 0 1 0a.5.5 0 1 0-1 0',
  terminal: 'M2.5 3h11v10h-11zM5 6l2 2-2 2M8.5 10.5h2.5',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5L14 14',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  up: 'M8 13V3M4 7l4-4 4 4',
  download: 'M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3 13.5h10',
  upload: 'M8 10.5v-8M4.5 5.5L8 2l3.5 3.5M3 13.5h10',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3',
  folder: 'M2 4h4l1.5 1.5H14V13H2z',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  link: 'M6.5 9.5l3-3M7.5 4.5l1.2-1.2a2.8 2.8 0 0 1 4 4L11.5 8.5M8.5 11.5l-1.2 1.2a2.8 2.8 0 0 1-4-4L4.5 7.5',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
  screen: 'M2 3h12v8H2zM6 13.5h4M8 11v2.5',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  logout: 'M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3',
  help: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.3 6.3c.2-1 .9-1.5 1.8-1.5 1 0 1.8.6 1.8 1.5 0 1.3-1.9 1.4-1.9 2.7M8 11.2h.01',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.5M8 11.8h.01',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.2V11M8 5h.01',
  network: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c2 2 2.5 4 2.5 6S10 12 8 14c-2-2-2.5-4-2.5-6S6 4 8 2z',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.5V8l2.5 1.5',
  user: 'M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.5-2.7 2.5-4 5-4s4.5 1.3 5 4',
  star: 'M8 2.3l1.7 3.6 3.9.5-2.9 2.7.8 3.9L8 11.1 4.5 13l.8-3.9L2.4 6.4l3.9-.5z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

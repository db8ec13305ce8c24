// SPDX-License-Identifier: Apache-2.0
// The theme that was chosen, before the first paint. Without one the system's counts.
try {
  const theme = localStorage.getItem('holm.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch { /* storage may be shut off: the system's theme then */ }

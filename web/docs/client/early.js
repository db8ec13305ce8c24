// SPDX-License-Identifier: Apache-2.0
// Before the first paint: there are scripts, so what only they can close again need not be seen open first.
document.documentElement.classList.add('has-script');

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Process 1 of the initramfs: from the kernel's hand-over to the image's own init, or to the agent
 * being it. Kernel command line: `holm.root=/dev/vda`, `holm.init=PATH` or `holm.init=none`.
 * Returns only on failure, with a negative errno; then there is nothing left but to turn off. */
int init_main(char *argv0);

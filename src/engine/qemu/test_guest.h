/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A tiny guest for tests of the real engine: Debian's kernel, an initramfs made here out of busybox
 * and a script, and a raw disk without a file system. Its "agent" is a shell that reads lines from
 * the virtio port and answers each with the command's output. */

#include <stdbool.h>

#include "base/buf.h"

#define TEST_GUEST_DISK_BYTES (64u << 20)

struct test_guest {
    char kernel[256];
    char initrd[256];
    char rootfs[256];
};

/* Makes the guest's files in `dir`. False, with the reason printed, when this machine lacks what is
 * needed: HOLM_KERNEL_DIR (default /var/lib/holm/kernel) with vmlinuz and modules/, and a static
 * /bin/busybox. */
bool test_guest_make(const char *dir, struct test_guest *ret);

/* Runs a shell command over a connection to the guest and returns its output, borrowed until the
 * next call on the same buffer. Fails the test when the guest hangs up or is silent for a minute.
 */
const char *test_guest_run(int fd, const char *command, struct buf *out);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kernel of a VM that brings its own: `vmlinuz` and `modules.cpio` of the image it was made
 * from. They go with it as hard links - from the image to its first VM, to the template, to each
 * VM, snapshot and fork - so that a VM boots again from what it was made from, whatever has become
 * of the image. A VM of a built-in image has none, and boots Holm's newest.
 *
 * The agent goes with Holm: its initramfs is put together at each boot, of the agent that is
 * installed and the VM's modules. */

#include <limits.h>

#include "base/err.h"

struct host;

/* Links what `from` has into `to`. What cannot be linked is logged: the image's own are taken
 * then. */
void vm_kernel_carry(const char *from, const char *to);

struct vm_kernel {
    char kernel[PATH_MAX];
    char initrd[PATH_MAX];
    char made[PATH_MAX]; /* the initramfs, when it is the VM's own; "" when not */
};
#define VM_KERNEL_INIT \
    {                  \
        .made = ""     \
    }

/* What to boot the VM in `dir` with, made from this image. */
int vm_kernel_find(struct host *h, const char *image, const char *dir, struct vm_kernel *ret,
                   struct err *e);
/* The monitor has read it. */
void vm_kernel_done(struct vm_kernel *k);

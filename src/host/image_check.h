/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an uploaded file must be before a VM is made from it. Everything in such a file is its
 * sender's word: numbers are checked against the file's size before they are followed, and nothing
 * is read beyond a few bounded pieces. ERR_INVALID says what is wrong, and what to do where that
 * is known.
 *
 * Pure functions on a descriptor (pread only); any thread. */

#include <stdint.h>

#include "base/err.h"

#define IMAGE_RELEASE_SIZE 65 /* as the kernel's own UTS name, with its NUL */

enum image_kernel_form {
    IMAGE_KERNEL_BZIMAGE,
    IMAGE_KERNEL_VMLINUX, /* ELF64 with the PVH entry */
};

struct image_kernel {
    enum image_kernel_form form;
    char release[IMAGE_RELEASE_SIZE]; /* "6.1.0-31-amd64"; "" when the file does not tell */
};

/* Whether QEMU could start it as a kernel of x86-64. */
int image_check_kernel(int fd, int64_t bytes, struct image_kernel *ret, struct err *e);

/* Whether it is an ext4 file system (or ext2, ext3) that Linux could mount: the superblock only;
 * the rest is for the guest to find. */
int image_check_rootfs(int fd, int64_t bytes, struct err *e);

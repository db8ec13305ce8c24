/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Images, as the API dialects see them: those that images/build made (built in: everyone's, read
 * only) and those that accounts upload: a kernel and a root file system of their own.
 *
 * An uploaded image is a row of the store and DATA/images/ID/ with `vmlinuz` and `rootfs.ext4`, one
 * or both of which may still be missing; it can be launched once both are there. Without a kernel
 * of its own it cannot: each brings its own. The agent is not in it: it comes with the initramfs,
 * and with it modules taken from the root file system when the kernel needs them
 * (image_modules.h).
 *
 * Uploads are streamed to a file beside, checked when complete (image_check.h), synced and renamed:
 * an upload that fails leaves what was there before. Uploading again replaces the file for VMs to
 * come; VMs and snapshots that exist keep what they were made from.
 *
 * Every call names the account that asks; another account's image is ERR_NOT_FOUND. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

struct host;

#define IMAGE_KEY_SIZE 64
#define IMAGE_NAME_SIZE 129
#define IMAGE_DESCRIPTION_SIZE 1025

struct image_info {
    char id[ID_SIZE];         /* of a built-in one: made from its name, always the same */
    char key[IMAGE_KEY_SIZE]; /* what vm_info.image and vm_launch.image have: the name of a built-in
                                 one, the id of others */
    char account[ID_SIZE];    /* "" when built in */
    char name[IMAGE_NAME_SIZE];
    char description[IMAGE_DESCRIPTION_SIZE];
    bool builtin;
    bool is_default; /* what the account's VMs are made from when nothing is named */
    bool has_kernel;
    bool has_rootfs;
    int64_t created_ns;
    int64_t kernel_uploaded_ns; /* 0: never; built in: when it was built */
    int64_t rootfs_uploaded_ns;
    int64_t kernel_bytes;
    int64_t disk_bytes; /* size of its root file system; 0: none yet */
    char state[16];     /* "ready", "preparing", "missing" (a file), "failed" */
    char detail[256];
};

/* How many built-in ones are ready. */
size_t host_images_ready(struct host *h);

/* `ref`: id, key, or name of a built-in one. */
int host_image_get(struct host *h, const char *account, const char *ref, struct image_info *ret,
                   struct err *e);
/* Built-in ones by name, then the account's by creation. The caller frees. */
int host_image_list(struct host *h, const char *account, struct image_info **ret, size_t *ret_n,
                    struct err *e);
int host_image_create(struct host *h, const char *account, const char *name,
                      const char *description, struct image_info *ret, struct err *e);
/* `name`, `description`: NULL leaves it. Built-in: ERR_FORBIDDEN. */
int host_image_update(struct host *h, const char *account, const char *id, const char *name,
                      const char *description, struct image_info *ret, struct err *e);

enum image_part { IMAGE_KERNEL, IMAGE_ROOTFS };

struct image_upload;
/* Begins; one at a time for a part (ERR_CONFLICT). `length` -1: not known; else there must be room
 * for it (ERR_FULL). */
int host_image_upload(struct host *h, const char *account, const char *id, enum image_part part,
                      int64_t length, struct image_upload **ret, struct err *e);
/* Runs of zeros become holes. ERR_TOO_LARGE: more than IMAGE_UPLOAD_MAX_BYTES; ERR_FULL: no room.
 */
int image_upload_write(struct image_upload *u, const void *data, size_t len, struct err *e);
/* Checks and publishes it. ERR_INVALID says what is wrong with the file. */
int image_upload_finish(struct image_upload *u, struct image_info *ret, struct err *e);
void image_upload_free(struct image_upload *u); /* what was not finished is gone; NULL is fine */

/* For VMs of this account; any image that can be launched. */
int host_image_set_default(struct host *h, const char *account, const char *id, struct err *e);
/* ERR_CONFLICT while VMs or snapshots are made from it; ERR_FORBIDDEN: built in, and the account is
 * no admin's. Was it the default, the configuration's is again. */
int host_image_delete(struct host *h, const char *account, const char *id, struct err *e);

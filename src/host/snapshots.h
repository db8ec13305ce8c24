/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Snapshots: templates that an account owns, in DATA/snapshots/ID. They are few and looked at
 * often: held in memory behind one leaf lock; the store is written first. Any thread. */

#include "host/vms.h"

struct snapshots;

/* Reads them from the store; what a former daemon did not finish is removed, as is every directory
 * that is no snapshot's. */
int snapshots_new(struct host *h, struct snapshots **ret, struct err *e);
void snapshots_free(struct snapshots *s); /* NULL is fine */

/* The template of a snapshot (PATH_MAX / 4 bytes) and the size of its disk; whoever owns it. */
int snapshots_source(struct snapshots *s, const char *id, char *ret_dir, int64_t *ret_disk_bytes,
                     struct err *e);

/* How many there are, of one account or (NULL) of all. */
int snapshots_count(struct snapshots *s, const char *account);
/* How many are of VMs that were made from an image, by its key. */
size_t snapshots_of_image(struct snapshots *s, const char *key);

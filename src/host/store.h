/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the daemon must still know after it was killed: SQLite in WAL mode, one file, versions of
 * the schema with migrations. This header hides which database it is.
 *
 * synchronous=NORMAL: a commit survives the death of the daemon at any instant; the last ones may
 * be missing after a power cut, when the monitors they speak of are gone too. What must not come
 * back (a key that was revoked, a session that was ended, an account that was deleted) and what the
 * files on the disk are told apart by (images, snapshots) is synced at once.
 *
 * Threads: any; one connection under one lock, each call is one short transaction. */

#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/proc.h"
#include "engine/engine.h"
#include "host/lifecycle.h"

struct store;

/* A VM as it is remembered. It is written before anything of it exists on the host (so that a
 * leftover can be found) and removed after everything of it is gone. */
struct vm_record {
    char id[ID_SIZE];
    enum vm_state state;
    char image[64];
    char language[32]; /* of the pool it belongs to; "" while an image is being prepared */
    bool used;         /* ran, or may have run, somebody's code: never to be used again */
    uid_t uid;
    struct machine_shape shape;
    struct proc_ref proc; /* pid 0: no monitor was started yet */
    int64_t created_real_ns;
};

/* Opens or makes the database and brings its schema up to date. A database made by a newer Holm is
 * refused, unchanged. */
int store_open(const char *path, struct store **ret, struct err *e);
void store_close(struct store *s); /* NULL is fine */

/* Inserts the record, or replaces the one of the same id. */
int store_vm_put(struct store *s, const struct vm_record *r, struct err *e);
int store_vm_delete(struct store *s, const char *id, struct err *e); /* absent is fine */

/* Whether there is a record of that id. */
int store_vm_known(struct store *s, const char *id, bool *ret, struct err *e);

/* Calls `each` for every record, in order of creation; the lock is not held meanwhile. A negative
 * return ends it. */
int store_vm_each(struct store *s, int (*each)(void *arg, const struct vm_record *r), void *arg,
                  struct err *e);

/* --- VMs that live (instance.h), snapshots; rows are handed to `each` to be kept --- */

struct instance_record;
struct snapshot_info;

/* Inserts or replaces, all or none. */
int store_instances_put(struct store *s, const struct instance_record *const *records, size_t n,
                        struct err *e);
int store_instance_delete(struct store *s, const char *id, struct err *e);
/* `record` is a struct instance_record whose JSON is each's to free. */
int store_instances_each(struct store *s, int (*each)(void *arg, const void *record), void *arg,
                         struct err *e);
int store_snapshot_put(struct store *s, const struct snapshot_info *info, struct err *e);
int store_snapshot_delete(struct store *s, const char *id, struct err *e);
/* `info` is a struct snapshot_info, likewise. */
int store_snapshots_each(struct store *s, int (*each)(void *arg, const void *info), void *arg,
                         struct err *e);

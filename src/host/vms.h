/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* VMs that live: they have an owner, a name, a life cycle; what the API dialects may ask of the
 * host about them. (A run of code, host_run, uses VMs that nobody sees.)
 *
 * Every call names the account that asks. What is another account's is ERR_NOT_FOUND, as what is
 * not there. Calls block until they are done; any thread. A call that fails has changed nothing;
 * what it returned 0 for survives the death of the daemon at any instant. Illegal in the present
 * state: ERR_CONFLICT. A quota: ERR_FORBIDDEN. No room on the host: ERR_FULL. `ret` may be NULL.
 *
 * Text in a request is borrowed for the call. JSON objects are borrowed and kept by reference: they
 * must not be changed after they were given. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "engine/engine.h"
#include "host/lifecycle.h"
#include "host/vm_info.h"

struct host;

/* --- launch, look, change, end --- */

struct vm_launch {
    const char *account;
    const char *name;         /* NULL or "": made up */
    const char *machine_type; /* NULL: the default, or the snapshot's */
    /* vcpus 0: as machine_type says; else it counts, and machine_type is NULL: the VM's is then
     * "cNmM" (M is GiB, with a fraction where needed). From a snapshot it must be the snapshot's.
     */
    struct machine_shape shape;
    const char *image;    /* key, id or name (images.h). NULL: the account's default, or the
                             snapshot's */
    const char *snapshot; /* id; NULL: from the image */
    int64_t disk_bytes;   /* 0: the image's or snapshot's */
    json_t *metadata;     /* NULL: {} or the snapshot's; likewise env and firewall */
    json_t *env;
    json_t *firewall;
    struct vm_timer ttl;
    struct vm_timer idle;
};

/* Starts a VM. It comes back running, or starting when it has to wait (*ret says which); then the
 * rest happens in the background, also by the next daemon. */
int host_vm_launch(struct host *h, const struct vm_launch *rq, struct vm_info *ret, struct err *e);

int host_vm_get(struct host *h, const char *account, const char *id, struct vm_info *ret,
                struct err *e);

struct vm_wait {
    int timeout_ms;
    bool (*cancelled)(void *arg); /* asked about ten times a second; may be NULL */
    void *arg;
};
/* Waits until it is no longer starting (a launch whose turn had to come), whatever it is then.
 * ERR_FULL: the time is over, or the host is stopping; ERR_UNAVAILABLE: cancelled. */
int host_vm_await(struct host *h, const char *account, const char *id, const struct vm_wait *w,
                  struct vm_info *ret, struct err *e);

int host_vm_list(struct host *h, const char *account, struct vm_list *ret, struct err *e);

enum {
    VM_PATCH_NAME = 1 << 0,
    VM_PATCH_METADATA = 1 << 1,
    VM_PATCH_TTL = 1 << 2, /* starts its cycle anew */
    VM_PATCH_IDLE = 1 << 3,
    VM_PATCH_FIREWALL = 1 << 4,
    VM_PATCH_MACHINE_TYPE = 1 << 5, /* from the next start on */
    VM_PATCH_DISK = 1 << 6,         /* grows at once, the file system of a running VM with it */
    /* `firewall` replaces only the axes that it gives (net_policy_merge); instead of
     * VM_PATCH_FIREWALL. */
    VM_PATCH_FIREWALL_AXES = 1 << 7,
};

struct vm_patch {
    unsigned what; /* VM_PATCH_* */
    const char *name;
    json_t *metadata;
    struct vm_timer ttl;
    struct vm_timer idle;
    json_t *firewall;
    const char *machine_type;
    int64_t disk_bytes;
};
int host_vm_patch(struct host *h, const char *account, const char *id, const struct vm_patch *patch,
                  struct vm_info *ret, struct err *e);

int host_vm_pause(struct host *h, const char *account, const char *id, struct vm_info *ret,
                  struct err *e); /* idempotent */
int host_vm_resume(struct host *h, const char *account, const char *id, struct vm_info *ret,
                   struct err *e); /* from paused or suspended; idempotent */
int host_vm_suspend(struct host *h, const char *account, const char *id, struct vm_info *ret,
                    struct err *e); /* idempotent */
/* Asks its system to shut down and waits; after `timeout_ms` it is turned off. 0: at once. */
int host_vm_stop(struct host *h, const char *account, const char *id, int timeout_ms,
                 struct vm_info *ret, struct err *e); /* idempotent */
int host_vm_start(struct host *h, const char *account, const char *id, struct vm_info *ret,
                  struct err *e);
int host_vm_delete(struct host *h, const char *account, const char *id, struct err *e);
int host_vm_refresh_ttl(struct host *h, const char *account, const char *id, struct vm_info *ret,
                        struct err *e);

struct vm_stats {
    struct monitor_stats monitor; /* zeros when none runs */
    uint64_t net_rx_bytes;        /* as the guest sees it */
    uint64_t net_tx_bytes;
    char host_address[46]; /* where the host reaches it; "" without a network */
    int execs;             /* commands and terminals that Holm runs in it now */
};
int host_vm_stats(struct host *h, const char *account, const char *id, struct vm_stats *ret,
                  struct err *e);

/* Texts that belong to a VM; of the serial console see host_vm_console_log. */
enum vm_log {
    VM_LOG_MONITOR, /* what Holm did with it: its life cycle, captures, errors; a line an event */
    VM_LOG_STDOUT,  /* its serial console */
    VM_LOG_STDERR,  /* what its monitor program wrote */
};
struct vm_log_tail {
    enum vm_log which;
    size_t lines;    /* at most */
    struct buf text; /* out, appended: the last lines, joined by line ends */
    bool has_more;   /* out: there are more before */
};
/* Works in every state; what is kept is bounded. What a guest wrote may be any bytes. */
int host_vm_log(struct host *h, const char *account, const char *id, struct vm_log_tail *t,
                struct err *e);

/* --- fork --- */

#define VM_FORK_MAX 64

struct vm_fork {
    int count; /* 1 to VM_FORK_MAX */
    const char *name;
    json_t *metadata; /* NULL: the source's */
};

struct vm_fork_result {
    int64_t pause_us; /* how long the source stood still */
    struct vm_list children;
    int64_t *ready_us; /* children.n: from the call until that child's agent had answered */
};
void vm_fork_result_done(struct vm_fork_result *r);

/* All or none: when one child cannot be made, none is left. */
int host_vm_fork(struct host *h, const char *account, const char *id, const struct vm_fork *rq,
                 struct vm_fork_result *ret, struct err *e);

/* --- snapshots --- */

enum snapshot_state { SNAPSHOT_CREATING, SNAPSHOT_READY, SNAPSHOT_ERROR };

struct snapshot_info {
    char id[ID_SIZE];
    char account[ID_SIZE];
    char vm[ID_SIZE];
    char name[VM_NAME_SIZE];
    enum snapshot_state state;
    char image[64];
    char machine_type[32];
    struct machine_shape shape;
    int64_t disk_bytes;
    int64_t size_bytes; /* on the host's disk, what it does not share with its base */
    int64_t pause_us;
    json_t *metadata; /* of the VM when it was made; never NULL, like the others */
    json_t *env;
    json_t *firewall;
    int64_t created_ns;
};
void snapshot_info_done(struct snapshot_info *s);

struct snapshot_list {
    struct snapshot_info *items; /* in order of creation */
    size_t n;
};
void snapshot_list_done(struct snapshot_list *l);

/* `name` NULL or "": made up. */
int host_snapshot_create(struct host *h, const char *account, const char *vm, const char *name,
                         struct snapshot_info *ret, struct err *e);
int host_snapshot_get(struct host *h, const char *account, const char *id,
                      struct snapshot_info *ret, struct err *e);
int host_snapshot_list(struct host *h, const char *account, struct snapshot_list *ret,
                       struct err *e);
int host_snapshot_rename(struct host *h, const char *account, const char *id, const char *name,
                         struct snapshot_info *ret, struct err *e);
/* VMs made from it are not touched. */
int host_snapshot_delete(struct host *h, const char *account, const char *id, struct err *e);

/* --- what may be launched --- */

struct machine_type {
    char name[32];
    struct machine_shape shape;
};
/* By index from 0; false beyond the end. The first is the default. */
bool host_machine_type(struct host *h, size_t index, struct machine_type *ret);

/* Trims a name, collapses its white space, cuts it to VM_NAME_MAX_CHARS characters. */
void host_clean_name(const char *name, char ret[VM_NAME_SIZE]);
/* Cuts a name that is clean already. */
void host_cut_name(char *name, size_t chars);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A VM that lives, as it is told of; what can be done with it is in vms.h. Plain data: whoever has
 * a copy owns it. */

#include <jansson.h>
#include <stdint.h>

#include "base/id.h"
#include "engine/engine.h"
#include "host/lifecycle.h"

#define VM_NAME_MAX_CHARS 64
#define VM_NAME_SIZE (4 * VM_NAME_MAX_CHARS + 1)

enum vm_action {
    VM_ACTION_NONE,
    VM_ACTION_PAUSE,
    VM_ACTION_SUSPEND,
    VM_ACTION_STOP,
    VM_ACTION_DELETE
};

/* After so long something happens to the VM. */
struct vm_timer {
    int64_t seconds; /* 0: none */
    enum vm_action action;
};

/* A VM as it is at one moment; a copy. vm_info_done frees what it holds. */
struct vm_info {
    char id[ID_SIZE];
    char account[ID_SIZE];
    char name[VM_NAME_SIZE];
    enum vm_state state;
    char detail[256]; /* why it is lost; "" otherwise */
    char image[64];
    char source[VM_NAME_SIZE]; /* name of the snapshot or image it was made from */
    char snapshot[ID_SIZE];    /* "" when it was made from an image */
    char forked_from[ID_SIZE]; /* "" when it was not forked */
    char machine_type[32];
    char next_machine_type[32]; /* counts from the next start; "" when it is the same */
    struct machine_shape shape;
    int64_t disk_bytes;
    json_t *metadata; /* object of strings, never NULL */
    json_t *env;      /* likewise */
    json_t *firewall; /* a policy in the shape of netpolicy.h, normalised; never NULL */
    struct vm_timer ttl;
    struct vm_timer idle;
    int64_t created_ns; /* since 1970, as all that follow; 0: does not apply */
    int64_t paused_ns;
    int64_t expires_ns;       /* while it runs, with a TTL */
    int64_t ttl_remaining_ns; /* with a TTL while it does not run */
    int64_t active_ns;        /* the last time it was seen to do something */
};
void vm_info_done(struct vm_info *v);

struct vm_list {
    struct vm_info *items; /* in order of creation */
    size_t n;
};
void vm_list_done(struct vm_list *l);

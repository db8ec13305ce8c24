/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Users of the guest, from /etc/passwd and /etc/group. The agent is a static program: the C
 * library's own look-up would need shared libraries that an image need not have. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "wire/exec_spec.h"

#define USER_GROUPS_MAX 64
#define USER_FIELD_SIZE 256

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[USER_GROUPS_MAX]; /* supplementary, for setgroups */
    size_t n_groups;
    bool listed; /* the rest is known */
    char name[USER_FIELD_SIZE];
    char home[USER_FIELD_SIZE];
    char shell[USER_FIELD_SIZE];
};

/* Who is to run it: spec->user, or uid and gid. `etc` is the directory of the two files. The names
 * are looked for only when the spec needs them. ERR_INVALID with field "user". */
int user_of_spec(const char *etc, const struct exec_spec *spec, struct user *ret, struct err *e);

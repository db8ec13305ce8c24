/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One thread's use of the guest of a VM that lives: while it lasts the link may end, but is there.
 */

#include "host/instance.h"

struct use {
    struct host *host;
    struct instance *inst;
    struct link *link;
};

/* ERR_NOT_FOUND, ERR_CONFLICT (it does not run), ERR_UNAVAILABLE. */
int use_begin(struct host *h, const char *account, const char *id, struct use *ret, struct err *e);
/* Nothing for a use that has not begun. */
void use_end(struct use *u);

/* The VM's environment and `more` (may be NULL) behind it, as "NAME=value". */
int use_env(struct use *u, json_t *more, char ***ret, struct err *e);
void use_free_env(char **env);
/* The strings stay the caller's, the array ends with NULL and is to be freed. NULL: no memory. */
char **use_argv(const char *const *argv, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The environment of a login. */

#include "agent/users.h"
#include "wire/exec_spec.h"

#define LOGIN_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* NULL-terminated; strings of its own. */
struct login_env {
    char **vars;
    size_t n;
};
#define auto_login_env CLEANUP(login_env_done)

/* Defaults, then <etc>/environment, then what follows from the user, then the spec's env: a later
 * one replaces an earlier one. -ENOMEM. */
int login_env_init(struct login_env *l, const char *etc, const struct exec_spec *spec,
                   const struct user *u);
void login_env_done(struct login_env *l);

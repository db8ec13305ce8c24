/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API key when none was given: it is looked for where people keep theirs, and where the daemon
 * leaves its first one. Thread: the main one. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct key {
    struct buf text;
    struct buf source; /* the file's path; empty: no key was found, which is no error */
};

/* Looks in this order:
 *   $XDG_CONFIG_HOME/holm/key, else ~/.config/holm/key
 *   $HOLM_DATA/admin.key, else /var/lib/holm/admin.key, only for a daemon of this machine
 *   (`is_local`): nobody else shall see it
 * A file that this user may not read is passed over. One of the user's own that others can read is
 * ERR_FORBIDDEN, one without a key ERR_INVALID. */
int key_find(bool is_local, struct key *ret, struct err *e);
void key_done(struct key *k);

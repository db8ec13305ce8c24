/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The keys of server.key_file. Constant once read; any thread may match. */

#include <stdbool.h>

#include "base/err.h"

#define KEYS_MAX 64
#define KEY_MIN_BYTES 16
#define KEY_MAX_BYTES 128

struct keys {
    char key[KEYS_MAX][KEY_MAX_BYTES + 1];
    int n;
};

/* One key a line; empty lines and lines that begin with # are passed over. A file that others may
 * read, a key that is too short or too long, and a file without any key are errors. */
int keys_read(struct keys *k, const char *path, struct err *e);

int keys_count(const struct keys *k);

/* Whether `key` is one of them; takes as long for a wrong key as for a right one. `arg` is the
 * struct keys. */
bool keys_match(void *arg, const char *key);

/* Wipes the keys from memory. */
void keys_done(struct keys *k);

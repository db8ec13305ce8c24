/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A fake guest's file table: in memory, and as a log of all puts in one file on the host, which is
 * what a capture copies. One thread. */

#include <stddef.h>

#include "base/err.h"

#define FILES_MAX 4096
#define FILES_BYTES_MAX (64u << 20) /* all together */

struct files;

/* Opens the log at `path` (made when missing) and reads what it holds; a torn last entry, from a
 * capture in the middle of a put, is left out. */
int files_open(const char *path, struct files **ret, struct err *e);
void files_free(struct files *f); /* NULL is fine */

/* Makes or replaces a file. ERR_TOO_LARGE beyond the bounds. */
int files_put(struct files *f, const char *name, const void *data, size_t len, struct err *e);

/* The content (NUL-terminated, borrowed until the next put), NULL when there is no such file. */
const char *files_find(const struct files *f, const char *name, size_t *ret_len);

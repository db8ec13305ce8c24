/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The dashboard's files: read into memory when the server starts, then only looked up. A request
 * can therefore never lead out of the directory, and a new dashboard comes with a new start. Any
 * thread may read.
 *
 * What a path leads to:
 *
 *     /assets/app-1f3c.js    the file of that name
 *     /docs/                 docs/index.html; /docs is sent there
 *     /vms/some/page         for whoever accepts HTML, index.html of the nearest directory above
 * that has one: pages that the dashboard's script makes have paths without files. Not below the
 * prefixes of APIs: what is wrong there must be told in JSON. /                      index.html,
 * for whoever accepts HTML
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct web;

struct web_file {
    char *path; /* "/assets/app-1f3c.js" */
    const char *type;
    char etag[40]; /* with its quotes */
    char *data;
    size_t len;
    char *gzip; /* of FILE.gz beside it; NULL: none */
    size_t gzip_len;
    bool is_immutable; /* its name changes with its contents: below /assets/ */
};

/* Reads all files below `dir` that are no links and whose names begin with no dot. ERR_NOT_FOUND:
 * there is no index.html; ERR_TOO_LARGE: bounds of limits.h. */
int web_new(const char *dir, struct web **ret, struct err *e);
void web_free(struct web *w); /* NULL is fine */
size_t web_count(const struct web *w);

struct web_found {
    const struct web_file *file;
    bool is_directory; /* its path lacks the last "/": it is to be asked for with it */
};

/* `w` may be NULL. False: nothing is there. */
bool web_find(const struct web *w, const char *path, bool accepts_html, struct web_found *ret);

/* Whether an If-None-Match header names this file's ETag, or the one of its gzip variant. */
bool web_etag_matches(const struct web_file *f, const char *if_none_match);

/* Whether an Accept-Encoding header (or NULL) allows gzip. */
bool web_accepts_gzip(const char *accept_encoding);

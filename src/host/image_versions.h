/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The versions of languages that images/build noted in an image.json: {"versions": {"python":
 * "3.11.2"}}. A file is read again when it is another one or was written anew; what was read is
 * kept of at most LANGUAGE_IMAGES_MAX files. Any thread. */

#include "base/err.h"
#include "host/host.h"

struct image_versions;

int image_versions_new(struct image_versions **ret, struct err *e);
void image_versions_free(struct image_versions *v); /* NULL is fine */

/* What the file at `path` says of a language; "": nothing, or there is no such file. One that is
 * not as it should be says nothing, and is logged once. */
void image_versions_get(struct image_versions *v, const char *path, const char *language,
                        char ret[LANGUAGE_VERSION_SIZE]);

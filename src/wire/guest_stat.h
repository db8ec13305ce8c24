/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an agent tells of files (`GET /v1/stat`, `GET /v1/list`): values and their JSON. The
 * decoders treat the text as hostile. Any thread. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum guest_file_type { GUEST_FILE, GUEST_DIR, GUEST_LINK, GUEST_OTHER };

struct guest_stat {
    enum guest_file_type type;
    int64_t size;
    unsigned mode; /* permission bits, with set-id and sticky */
    uint32_t uid, gid;
    int64_t mtime_ms;
};

/* "file", "dir", "link" or "other". */
const char *guest_file_type_name(enum guest_file_type type);

/* Appends the object; `name` NULL: without a member "name". A name that is not UTF-8 is written
 * with U+FFFD where it is not. */
int guest_stat_encode(const struct guest_stat *st, const char *name, struct buf *out);

/* Unknown fields are passed over, so that newer agents may tell more. */
int guest_stat_decode(const char *json, size_t len, struct guest_stat *ret, struct err *e);

/* `{"entries": [...]}` of at most AGENT_LIST_MAX names: checked, without unknown members. The
 * caller owns the array *ret. */
int guest_list_decode(const char *json, size_t len, json_t **ret, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text from outside: UTF-8 that may not be, and percent-encoded paths. Any thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Length of the longest valid UTF-8 prefix (no overlong forms, surrogates, or beyond U+10FFFF). */
size_t text_utf8_prefix(const char *data, size_t len);

/* Appends the text with every maximal broken piece replaced by U+FFFD. The buffer's errors. */
int text_utf8_repair(const char *data, size_t len, struct buf *ret);

/* A JSON string of bytes that should be UTF-8, repaired when they are not; NULL: no memory. */
json_t *text_json(const char *data, size_t len);

/* Percent-decodes `len` characters into `ret` (NUL-terminated). -EINVAL: a broken escape, a NUL, or
 * a result that is not UTF-8; -E2BIG: it does not fit. "+" stays "+": this is for paths. */
int text_percent_decode(const char *s, size_t len, char *ret, size_t ret_size);

/* Length of the name in a Host header: "name", "name:port", "[v6]", "[v6]:port"; 0: it is none of
 * these. A name is letters, digits, "-", "." and "_". */
size_t text_host_len(const char *host);

/* The RFC 3339 time that a field holds, or ERR_INVALID. Never 0, which stands for no time. */
int text_time(const char *field, const char *text, int64_t *ret_real_ns, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Base64 (RFC 4648, section 4: the alphabet with + and /, padded). Any thread. */

#include <stddef.h>

#include "base/buf.h"

/* Characters that `len` bytes become. */
static inline size_t base64_size(size_t len)
{
    return (len / 3 + (len % 3 != 0)) * 4;
}

/* Appends the text; the buffer's errors. */
int base64_encode(const void *data, size_t len, struct buf *ret);

/* Appends the bytes. Strict: -EINVAL for a character outside the alphabet (white space too), wrong
 * or missing padding, and for padding bits that are not zero; the buffer is then as it was before.
 */
int base64_decode(const char *text, size_t len, struct buf *ret);

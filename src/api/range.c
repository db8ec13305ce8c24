/* SPDX-License-Identifier: Apache-2.0 */
#include "api/range.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits up to the end of `s` or another character; too large ones stay at the largest number,
 * which is beyond every end. */
static bool number(const char **s, uint64_t *ret)
{
    const char *p = *s;
    uint64_t n = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        bool is_large = __builtin_mul_overflow(n, (uint64_t)10, &n) ||
                        __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
        if (is_large)
            n = UINT64_MAX;
    }
    bool found = p != *s;
    *s = p;
    *ret = n;
    return found;
}

int range_parse(const char *header, uint64_t total, struct byte_range *ret)
{
    static const char unit[] = "bytes=";
    if (strncasecmp(header, unit, strlen(unit)) != 0)
        return 0;
    const char *p = header + strlen(unit);
    uint64_t first, last = UINT64_MAX;
    bool has_first = number(&p, &first);
    if (*p++ != '-')
        return 0;
    bool has_last = number(&p, &last);
    if (*p || (!has_first && !has_last) || (has_first && has_last && last < first))
        return 0;
    if (!has_first) {
        uint64_t n = last < total ? last : total;
        *ret = (struct byte_range){total - n, n};
        return n ? 1 : -ERANGE;
    }
    if (first >= total)
        return -ERANGE;
    uint64_t end = has_last && last < total - 1 ? last + 1 : total;
    *ret = (struct byte_range){first, end - first};
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void id_random(void *ret, size_t len)
{
    char *p = ret;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            assert(errno == EINTR);
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
}

void id_new(char ret[ID_SIZE])
{
    for (size_t i = 0; i < ID_LEN;) {
        unsigned char raw[2 * ID_LEN];
        id_random(raw, sizeof(raw));
        /* 252 = 7 * 36: bytes from there on would favour some digits. */
        for (size_t j = 0; j < sizeof(raw) && i < ID_LEN; j++) {
            if (raw[j] < 252)
                ret[i++] = digits[raw[j] % 36];
        }
    }
    ret[ID_LEN] = '\0';
}

bool id_valid(const char *s)
{
    return strlen(s) == ID_LEN && strspn(s, digits) == ID_LEN;
}

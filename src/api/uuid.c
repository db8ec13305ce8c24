/* SPDX-License-Identifier: Apache-2.0 */
#include "api/uuid.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef unsigned __int128 u128;

#define VARIANT (2ull << 62)
#define VERSION 0x8000u
#define PADDING_BITS 18 /* 128 - 4 of the version - 2 of the variant - 104 */
#define RADIX 36

/* RADIX to the power of ID_LEN: the first number that no id has. */
static u128 id_end(void)
{
    u128 n = 1;
    for (int i = 0; i < ID_LEN; i++)
        n *= RADIX;
    return n;
}

static int digit_value(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

void uuid_from_id(const char *id, char ret[UUID_SIZE])
{
    ret[0] = '\0';
    if (!id_valid(id))
        return;
    u128 n = 0;
    for (int i = 0; i < ID_LEN; i++)
        n = n * RADIX + (unsigned)digit_value(id[i]);
    /* 48 bits, the version, 12 bits, the variant, 44 bits, padding. */
    uint64_t a = (uint64_t)(n >> 56), b = (uint64_t)(n >> 44) & 0xfff;
    uint64_t c = ((uint64_t)n & 0xfffffffffffull) << PADDING_BITS | VARIANT;
    snprintf(ret, UUID_SIZE, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 16),
             (unsigned)a & 0xffff, (unsigned)b | VERSION, (unsigned)(c >> 48),
             (unsigned long long)c & 0xffffffffffffull);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse(const char *uuid, uint64_t *ret_high, uint64_t *ret_low)
{
    u128 all = 0;
    if (strlen(uuid) != UUID_LEN)
        return false;
    for (int i = 0; i < UUID_LEN; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        int v = is_dash ? 0 : hex_value(uuid[i]);
        if (v < 0 || (is_dash && uuid[i] != '-'))
            return false;
        if (!is_dash)
            all = all << 4 | (unsigned)v;
    }
    *ret_high = (uint64_t)(all >> 64);
    *ret_low = (uint64_t)all;
    return true;
}

bool uuid_to_id(const char *uuid, char ret[ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint64_t high, low;
    if (!parse(uuid, &high, &low))
        return false;
    if ((high & 0xf000) != VERSION || low >> 62 != VARIANT >> 62 ||
        low & ((1u << PADDING_BITS) - 1))
        return false;
    u128 n = (u128)(high >> 16) << 56 | (u128)(high & 0xfff) << 44 |
             (low & ~(3ull << 62)) >> PADDING_BITS;
    if (n >= id_end())
        return false;
    for (int i = ID_LEN; i-- > 0; n /= RADIX)
        ret[i] = digits[n % RADIX];
    ret[ID_LEN] = '\0';
    return true;
}

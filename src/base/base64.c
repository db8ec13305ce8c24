/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const void *data, size_t len, struct buf *ret)
{
    const uint8_t *in = data;
    char *out = buf_reserve(ret, base64_size(len));
    if (!out)
        return ret->max_bytes ? -E2BIG : -ENOMEM;
    for (size_t i = 0; i < len; i += 3, out += 4) {
        size_t left = len - i;
        uint32_t v = (uint32_t)in[i] << 16;
        v |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        v |= left > 2 ? in[i + 2] : 0;
        out[0] = alphabet[v >> 18];
        out[1] = alphabet[v >> 12 & 63];
        out[2] = left > 1 ? alphabet[v >> 6 & 63] : '=';
        out[3] = left > 2 ? alphabet[v & 63] : '=';
    }
    ret->len += base64_size(len);
    ret->data[ret->len] = '\0';
    return 0;
}

/* -1 for what is not in the alphabet. No table: 64 comparisons of ranges read more plainly and the
 * compiler makes them cheap. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes four characters of which the last `pad` are padding. */
static int decode_group(const char *text, int pad, uint8_t ret[3])
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int x = i < 4 - pad ? value_of(text[i]) : 0;
        if (x < 0)
            return -EINVAL;
        v = v << 6 | (uint32_t)x;
    }
    ret[0] = (uint8_t)(v >> 16);
    ret[1] = (uint8_t)(v >> 8);
    ret[2] = (uint8_t)v;
    /* Bits under the padding must be zero, so that a text and its bytes stay one to one. */
    return (pad == 1 && ret[2]) || (pad == 2 && ret[1]) ? -EINVAL : 0;
}

int base64_decode(const char *text, size_t len, struct buf *ret)
{
    if (len % 4)
        return -EINVAL;
    size_t start = ret->len;
    char *out = buf_reserve(ret, len / 4 * 3);
    if (!out)
        return ret->max_bytes ? -E2BIG : -ENOMEM;
    for (size_t i = 0; i < len; i += 4) {
        int pad = 0;
        if (i + 4 == len && text[i + 3] == '=')
            pad = text[i + 2] == '=' ? 2 : 1;
        uint8_t group[3];
        if (decode_group(text + i, pad, group) < 0) {
            ret->len = start;
            ret->data[start] = '\0';
            return -EINVAL;
        }
        memcpy(ret->data + ret->len, group, (size_t)(3 - pad));
        ret->len += (size_t)(3 - pad);
    }
    ret->data[ret->len] = '\0';
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"

/* What may follow a lead byte (Unicode's table of well-formed sequences): the second byte's range
 * rules out overlong forms, surrogates and too large values; the others are 80..BF. */
struct lead {
    unsigned char from, to;
    unsigned char bytes;
    unsigned char second_min, second_max;
};

static const struct lead leads[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct lead *lead_find(unsigned char c)
{
    for (size_t i = 0; i < ARRAY_SIZE(leads); i++) {
        if (c >= leads[i].from && c <= leads[i].to)
            return &leads[i];
    }
    return NULL;
}

/* How many bytes at `p` are a valid beginning of a character; `*ret_whole`: they are all of it. */
static size_t character(const unsigned char *p, size_t len, bool *ret_whole)
{
    *ret_whole = p[0] < 0x80;
    const struct lead *l = *ret_whole ? NULL : lead_find(p[0]);
    if (!l)
        return 1;
    size_t n = 1;
    if (len > 1 && p[1] >= l->second_min && p[1] <= l->second_max)
        n = 2;
    while (n > 1 && n < l->bytes && n < len && (p[n] & 0xc0) == 0x80)
        n++;
    *ret_whole = n == l->bytes;
    return n;
}

size_t text_utf8_prefix(const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof(eight)) {
            memcpy(&eight, p + i, sizeof(eight));
            if (!(eight & 0x8080808080808080u)) {
                i += sizeof(eight);
                continue;
            }
        }
        bool whole;
        size_t n = character(p + i, len - i, &whole);
        if (!whole)
            return i;
        i += n;
    }
    return i;
}

int text_utf8_repair(const char *data, size_t len, struct buf *ret)
{
    while (len) {
        size_t good = text_utf8_prefix(data, len);
        int r = buf_append(ret, data, good);
        if (r < 0)
            return r;
        data += good;
        len -= good;
        if (!len)
            return 0;
        bool whole;
        size_t bad = character((const unsigned char *)data, len, &whole);
        r = buf_append_str(ret, "\xef\xbf\xbd");
        if (r < 0)
            return r;
        data += bad;
        len -= bad;
    }
    return 0;
}

json_t *text_json(const char *data, size_t len)
{
    if (text_utf8_prefix(data, len) == len)
        return json_stringn_nocheck(len ? data : "", len);
    auto_buf struct buf b = {0};
    if (text_utf8_repair(data, len, &b) < 0)
        return NULL;
    return json_stringn_nocheck(buf_str(&b), b.len);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_percent_decode(const char *s, size_t len, char *ret, size_t ret_size)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];
        if (c == '%') {
            int high = len - i > 2 ? hex(s[i + 1]) : -1, low = high < 0 ? -1 : hex(s[i + 2]);
            if (low < 0)
                return -EINVAL;
            c = high * 16 + low;
            i += 2;
        }
        if (c == '\0')
            return -EINVAL;
        if (n + 1 >= ret_size)
            return -E2BIG;
        ret[n++] = (char)c;
    }
    ret[n] = '\0';
    return text_utf8_prefix(ret, n) == n ? 0 : -EINVAL;
}

size_t text_host_len(const char *host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t n = 0;
    if (host[0] == '[') {
        size_t inner = strspn(host + 1, "0123456789abcdefABCDEF:.");
        n = inner && host[1 + inner] == ']' ? inner + 2 : 0;
    } else {
        while (host[n] && (strchr(letters, host[n]) || strchr("-._", host[n])))
            n++;
    }
    if (host[n] == '\0')
        return n;
    const char *port = host + n + 1;
    return host[n] == ':' && strspn(port, "0123456789") == strlen(port) ? n : 0;
}

int text_time(const char *field, const char *text, int64_t *ret_real_ns, struct err *e)
{
    int64_t ns;
    if (clock_parse_rfc3339(text, &ns) < 0)
        return err_field(e, field, "field \"%s\" is no RFC 3339 time", field);
    *ret_real_ns = ns ? ns : 1;
    return 0;
}

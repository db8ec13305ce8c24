/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hello.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"

#define PREFIX "HOLM/1 "
#define PREFIX_LEN (sizeof(PREFIX) - 1)

void hello_nonce_new(char ret[HELLO_NONCE_SIZE])
{
    uint8_t raw[HELLO_NONCE_LEN / 2];
    id_random(raw, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw); i++)
        snprintf(ret + 2 * i, 3, "%02x", raw[i]);
}

void hello_line(const char nonce[HELLO_NONCE_SIZE], char ret[HELLO_LINE_SIZE])
{
    snprintf(ret, HELLO_LINE_SIZE, PREFIX "%.*s\n", HELLO_NONCE_LEN, nonce);
}

static bool fits_at(size_t pos, char c)
{
    if (pos < PREFIX_LEN)
        return c == PREFIX[pos];
    if (pos < PREFIX_LEN + HELLO_NONCE_LEN)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    return c == '\n';
}

bool hello_scan_feed(struct hello_scan *s, const void *data, size_t len, size_t *ret_used)
{
    const char *p = data;
    for (size_t i = 0; i < len; i++) {
        /* The prefix's first letter occurs nowhere else in a line, so after a mismatch only the
         * byte at hand can start a new one. */
        if (!fits_at(s->matched, p[i]))
            s->matched = 0;
        if (!fits_at(s->matched, p[i]))
            continue;
        if (s->matched >= PREFIX_LEN && p[i] != '\n')
            s->nonce[s->matched - PREFIX_LEN] = p[i];
        if (++s->matched < HELLO_LINE_LEN)
            continue;
        s->nonce[HELLO_NONCE_LEN] = '\0';
        s->matched = 0;
        *ret_used = i + 1;
        return true;
    }
    *ret_used = len;
    return false;
}

bool hello_is_lines(const void *data, size_t len)
{
    const char *p = data;
    if (len == 0 || len % HELLO_LINE_LEN != 0)
        return false;
    struct hello_scan s = {0};
    size_t used;
    if (!hello_scan_feed(&s, p, HELLO_LINE_LEN, &used))
        return false;
    for (size_t at = HELLO_LINE_LEN; at < len; at += HELLO_LINE_LEN)
        if (memcmp(p, p + at, HELLO_LINE_LEN) != 0)
            return false;
    return true;
}

void hello_client_init(struct hello_client *c)
{
    *c = (struct hello_client){0};
    hello_nonce_new(c->nonce);
}

size_t hello_client_feed(struct hello_client *c, const void *data, size_t len)
{
    const char *p = data;
    size_t at = 0;
    while (!c->answered && at < len) {
        size_t used;
        if (hello_scan_feed(&c->scan, p + at, len - at, &used))
            c->answered = strcmp(c->scan.nonce, c->nonce) == 0;
        at += used;
    }
    if (!c->answered || c->passed)
        return at;
    const char *zero = memchr(p + at, 0, len - at);
    c->passed = zero != NULL;
    return zero ? (size_t)(zero - p) : len;
}

/* Whether `c` ends the preface. A preface that overlaps a false start of one ("PRI * HTTPRI * ...")
 * is not found; a client sends it right after our answer, with nothing before it. */
static bool preface_feed(struct hello_server *s, char c)
{
    if (c != HELLO_PREFACE[s->preface_matched])
        s->preface_matched = 0;
    if (c != HELLO_PREFACE[s->preface_matched])
        return false;
    if (++s->preface_matched < HELLO_PREFACE_LEN)
        return false;
    s->preface_matched = 0;
    return true;
}

enum hello_event hello_server_feed(struct hello_server *s, const void *data, size_t len,
                                   size_t *ret_used)
{
    const char *p = data;
    for (size_t i = 0; i < len; i++) {
        size_t used;
        *ret_used = i + 1;
        if (hello_scan_feed(&s->scan, p + i, 1, &used)) {
            s->preface_allowed = true;
            s->preface_matched = 0;
            return HELLO_LINE;
        }
        if (preface_feed(s, p[i]) && s->preface_allowed) {
            *s = (struct hello_server){0};
            return HELLO_SESSION;
        }
    }
    *ret_used = len;
    return HELLO_MORE;
}

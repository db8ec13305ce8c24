/* SPDX-License-Identifier: Apache-2.0 */
#include "host/s3_xml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"

struct level {
    size_t path_len; /* of the path without this element */
    size_t text_at;  /* where its own text begins */
};

/* Text of an element is kept in one buffer, behind that of the elements around it; a child's is cut
 * off at its end, so what its parent has comes together again. */
struct reader {
    const char *p, *end;
    char path[S3_XML_PATH_MAX_BYTES];
    size_t path_len;
    struct level levels[S3_XML_DEPTH_MAX];
    int depth;
    int elements;
    struct buf text;
    s3_xml_fn *each;
    void *arg;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
}

static bool take(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

/* 0: there is none. */
static size_t take_name(struct reader *r, const char **ret)
{
    *ret = r->p;
    while (r->p < r->end && is_name(*r->p))
        r->p++;
    return (size_t)(r->p - *ret);
}

/* --- text --- */

static int add_char(struct buf *b, uint32_t c)
{
    char utf8[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -EINVAL;
    if (n == 1) {
        utf8[0] = (char)c;
        return buf_append(b, utf8, 1);
    }
    for (size_t i = n; --i > 0; c >>= 6)
        utf8[i] = (char)(0x80 | (c & 0x3f));
    utf8[0] = (char)(0xf00 >> n | c);
    return buf_append(b, utf8, n);
}

/* Behind "&#". */
static int add_number(struct reader *r)
{
    uint32_t c = 0, base = take(r, "x") ? 16 : 10;
    int digits = 0;
    for (; r->p < r->end && *r->p != ';'; r->p++) {
        char d = (char)(*r->p | 0x20);
        uint32_t v = *r->p >= '0' && *r->p <= '9' ? (uint32_t)(*r->p - '0')
                     : d >= 'a' && d <= 'f'       ? (uint32_t)(d - 'a' + 10)
                                                  : base;
        if (v >= base || ++digits > 7)
            return -EINVAL;
        c = c * base + v;
    }
    return digits && take(r, ";") ? add_char(&r->text, c) : -EINVAL;
}

static int add_entity(struct reader *r)
{
    static const struct {
        const char *name;
        char c;
    } rows[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    if (take(r, "&#"))
        return add_number(r);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (take(r, rows[i].name))
            return buf_append(&r->text, &rows[i].c, 1);
    }
    return -EINVAL;
}

static int read_text(struct reader *r)
{
    while (r->p < r->end && *r->p != '<') {
        int result;
        if (*r->p == '&')
            result = add_entity(r);
        else if (*r->p == '\0')
            result = -EINVAL;
        else
            result = buf_append(&r->text, r->p++, 1);
        if (result < 0)
            return result;
    }
    return 0;
}

/* --- elements --- */

/* Behind a name: NAME="VALUE" with either quotes. */
static int skip_attributes(struct reader *r)
{
    for (;;) {
        const char *name;
        const char *before = r->p;
        skip_blanks(r);
        if (r->p == r->end || *r->p == '>' || *r->p == '/' || *r->p == '?')
            return 0;
        if (r->p == before || !take_name(r, &name) || !take(r, "=") || r->p == r->end)
            return -EINVAL;
        char quote = *r->p++;
        const char *close =
            quote == '"' || quote == '\'' ? memchr(r->p, quote, (size_t)(r->end - r->p)) : NULL;
        if (!close || memchr(r->p, '<', (size_t)(close - r->p)))
            return -EINVAL;
        r->p = close + 1;
    }
}

static int end_element(struct reader *r)
{
    struct level *l = &r->levels[--r->depth];
    int result = r->each(r->arg, r->path, buf_str(&r->text) + l->text_at);
    r->text.len = l->text_at;
    if (r->text.data)
        r->text.data[r->text.len] = '\0';
    r->path_len = l->path_len;
    r->path[r->path_len] = '\0';
    return result;
}

/* Behind "<". */
static int begin_element(struct reader *r)
{
    const char *name;
    size_t len = take_name(r, &name), slash = r->depth > 0;
    if (!len || r->depth == S3_XML_DEPTH_MAX || ++r->elements > S3_XML_ELEMENTS_MAX ||
        r->path_len + slash + len >= sizeof(r->path))
        return -EINVAL;
    r->levels[r->depth++] = (struct level){r->path_len, r->text.len};
    if (slash)
        r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, name, len);
    r->path_len += len;
    r->path[r->path_len] = '\0';
    int result = skip_attributes(r);
    if (result == 0 && take(r, "/>"))
        return end_element(r);
    return result == 0 && take(r, ">") ? 0 : -EINVAL;
}

/* Behind "</". */
static int close_element(struct reader *r)
{
    const char *name;
    size_t len = take_name(r, &name);
    const char *open = strrchr(r->path, '/');
    open = open ? open + 1 : r->path;
    skip_blanks(r);
    if (strlen(open) != len || memcmp(open, name, len) != 0 || !take(r, ">"))
        return -EINVAL;
    return end_element(r);
}

static int read_root(struct reader *r)
{
    if (take(r, "\xef\xbb\xbf"))
        skip_blanks(r);
    if (take(r, "<?xml") && (skip_attributes(r) < 0 || !take(r, "?>")))
        return -EINVAL;
    skip_blanks(r);
    int result = take(r, "<") ? begin_element(r) : -EINVAL;
    while (result == 0 && r->depth > 0) {
        result = read_text(r);
        if (result < 0)
            return result;
        if (take(r, "</"))
            result = close_element(r);
        else
            result = take(r, "<") ? begin_element(r) : -EINVAL;
    }
    skip_blanks(r);
    return result == 0 && r->p != r->end ? -EINVAL : result;
}

int s3_xml_read(const char *data, size_t len, s3_xml_fn *each, void *arg, struct err *e)
{
    struct reader r = {.p = data, .end = data + len, .each = each, .arg = arg};
    r.text.max_bytes = S3_XML_TEXT_MAX_BYTES;
    int result = len ? read_root(&r) : -EINVAL;
    buf_done(&r.text);
    if (result == -EINVAL || result == -E2BIG)
        return err_set(e, ERR_UNAVAILABLE, "the object store's answer is not the XML that S3 has");
    return result == -ENOMEM ? err_errno(e, result, "read the object store's answer") : result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define WIDTH_DEFAULT 80
#define WIDTH_MIN 20

/* A terminal that does not know its size (serial lines) says 0. */
static int width_of(int fd)
{
    struct winsize ws;
    if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col)
        return ws.ws_col < WIDTH_MIN ? WIDTH_MIN : ws.ws_col;
    return WIDTH_DEFAULT;
}

void term_init(struct term *t, FILE *file)
{
    const char *no_color = getenv("NO_COLOR"), *name = getenv("TERM");
    bool tty = isatty(fileno(file));
    bool dumb = !name || !*name || !strcmp(name, "dumb");
    *t = (struct term){
        .file = file,
        .tty = tty,
        .colour = tty && !dumb && !(no_color && *no_color),
        .utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
        .width = tty ? width_of(fileno(file)) : 0,
    };
}

const char *term_on(const struct term *t, enum term_style style)
{
    static const char *const on[] = {
        [STYLE_PLAIN] = "",        [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
        [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[31m",
    };
    return t->colour ? on[style] : "";
}

const char *term_off(const struct term *t, enum term_style style)
{
    return t->colour && style != STYLE_PLAIN ? "\033[0m" : "";
}

/* Decodes one UTF-8 character of `len` > 0 bytes; returns how many it took, 0 when it is not one.
 * By hand, since mbrtowc goes by the locale and what comes over the network is UTF-8 in any. */
static size_t decode(const char *text, size_t len, wchar_t *ret)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (n == 0 || n > len || s[0] > 0xf4)
        return 0;
    wchar_t c = n == 1 ? s[0] : s[0] & (0xff >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || (c >= 0xd800 && c < 0xe000) ||
        c > 0x10ffff)
        return 0;
    *ret = c;
    return n;
}

void term_safe(struct buf *ret, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0, n; i < len; i += n) {
        wchar_t c = 0;
        n = decode(text + i, len - i, &c);
        if (n == 0) {
            n = 1;
            buf_append_str(ret, "?");
        } else if (c == '\n' || c == '\t' || c == '\r') {
            buf_append_str(ret, " ");
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            buf_append_str(ret, "?");
        } else {
            buf_append(ret, text + i, n);
        }
    }
}

static int columns_of(const char *text, size_t len, size_t *ret_bytes)
{
    wchar_t c = 0;
    size_t n = decode(text, len, &c);
    *ret_bytes = n ? n : 1;
    /* In the C locale wcwidth knows ASCII only and says -1: one column is the best guess. */
    int w = n ? wcwidth(c) : 1;
    return w < 0 ? 1 : w;
}

int term_columns(const char *text, size_t len)
{
    int columns = 0;
    for (size_t i = 0, n; i < len; i += n)
        columns += columns_of(text + i, len - i, &n);
    return columns;
}

void term_break(const char *text, int width, size_t *ret_len, size_t *ret_next)
{
    size_t len = strlen(text), space = 0, i = 0;
    int columns = 0;
    while (i < len) {
        size_t n;
        columns += columns_of(text + i, len - i, &n);
        if (columns > width && i > 0)
            break;
        if (text[i] == ' ')
            space = i;
        i += n;
    }
    if (i < len && text[i] == ' ')
        space = i;
    size_t end = i == len || !space ? i : space;
    *ret_next = end + strspn(text + end, " ");
    while (end > 0 && text[end - 1] == ' ')
        end--;
    *ret_len = end;
}

void term_fill(const struct term *t, int indent, const char *text)
{
    int width = (t->width ? t->width : WIDTH_DEFAULT) - indent;
    if (width > 100 - indent)
        width = 100 - indent; /* longer lines are hard to read */
    if (width < WIDTH_MIN)
        width = WIDTH_MIN;
    while (*text) {
        size_t para = strcspn(text, "\n");
        auto_buf struct buf line = {0};
        buf_append(&line, text, para);
        for (const char *rest = buf_str(&line); *rest;) {
            size_t len, next;
            term_break(rest, width, &len, &next);
            fprintf(t->file, "%*s%.*s\n", indent, "", (int)len, rest);
            rest += next;
        }
        if (!para)
            fputc('\n', t->file);
        text += para + (text[para] == '\n');
    }
}

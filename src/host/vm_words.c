/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vm_words.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "host/console.h"
#include "host/host_priv.h"

#define LINES_MAX 3

void vm_words_begin(struct host *h, struct vm *vm)
{
    console_attach(h->consoles, h->engine, &vm->monitor);
}

void vm_words_end(struct host *h, struct vm *vm)
{
    console_forget(h->consoles, vm->record.id);
}

/* A line without its time ("[    1.234567] "), as long as it is printable. */
static size_t clean_line(const char *p, size_t len, char *ret, size_t size)
{
    size_t n = 0;
    const char *bracket = len > 2 && *p == '[' ? memchr(p, ']', len) : NULL;
    if (bracket && bracket - p < 20) {
        len -= (size_t)(bracket + 1 - p);
        p = bracket + 1;
    }
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == 0x1b) /* a colour or the like: to its letter */
            while (i + 1 < len && !((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z'))
                i++;
        else if (c > ' ' && c < 0x7f)
            ret[n++] = (char)c;
        else if (n && ret[n - 1] != ' ')
            ret[n++] = ' ';
    }
    while (n && ret[n - 1] == ' ')
        n--;
    ret[n] = '\0';
    return n;
}

/* What follows a panic's first line - registers, a trace - tells a person nothing. */
static bool ends_it(const char *line)
{
    return strstr(line, "Kernel panic") && !strstr(line, "---[");
}

void vm_words_pick(const char *text, size_t len, char ret[VM_WORDS_SIZE])
{
    char lines[LINES_MAX][VM_WORDS_SIZE];
    int n = 0;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - text) - at : len - at;
        char line[VM_WORDS_SIZE];
        if (clean_line(text + at, line_len, line, sizeof(line))) {
            if (n == LINES_MAX)
                memmove(lines[0], lines[1], (LINES_MAX - 1) * sizeof(lines[0]));
            else
                n++;
            strcpy(lines[n - 1], line);
            if (ends_it(line))
                break;
        }
        at += line_len + 1;
    }
    /* The last ones that fit. */
    ret[0] = '\0';
    size_t used = 0;
    int first = n;
    while (first > 0 && used + strlen(lines[first - 1]) + 3 < VM_WORDS_SIZE)
        used += strlen(lines[--first]) + 3;
    if (first == n && n)
        first = n - 1;
    for (int i = first; i < n; i++) {
        size_t have = strlen(ret);
        snprintf(ret + have, VM_WORDS_SIZE - have, "%s%s", have ? " | " : "", lines[i]);
    }
}

/* Until the console has been read to the end that the monitor's end is. */
static void await_end(struct host *h, const char *id)
{
    char room[4096];
    struct console_reader *r = NULL;
    if (console_open(h->consoles, id, &r, NULL) < 0)
        return; /* it has come to it */
    while (console_read(r, room, sizeof(room)) > 0)
        ;
    console_close(r);
}

void vm_words_take(struct host *h, struct vm *vm, char ret[VM_WORDS_SIZE])
{
    auto_buf struct buf log = {0};
    ret[0] = '\0';
    if (!vm->monitor.proc.pid || engine_kill(h->engine, &vm->monitor, NULL) < 0)
        return;
    await_end(h, vm->record.id);
    if (console_log(h->consoles, vm->record.id, &log, NULL) == 0)
        vm_words_pick(buf_str(&log), log.len, ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/argv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool grow(struct argv *a)
{
    if (a->n + 2 <= a->cap)
        return true;
    size_t cap = a->cap ? a->cap * 2 : 64;
    char **v = reallocarray(a->v, cap, sizeof(*v));
    if (!v)
        return false;
    a->v = v;
    a->cap = cap;
    return true;
}

void argv_add(struct argv *a, const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (a->failed || !grow(a) || vasprintf(&s, fmt, ap) < 0) {
        a->failed = true;
    } else {
        a->v[a->n++] = s;
        a->v[a->n] = NULL;
    }
    va_end(ap);
}

void argv_add_all(struct argv *a, const struct argv *more)
{
    a->failed = a->failed || more->failed;
    for (size_t i = 0; i < more->n; i++)
        argv_add(a, "%s", more->v[i]);
}

void argv_done(struct argv *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->v[i]);
    free(a->v);
    *a = (struct argv){0};
}

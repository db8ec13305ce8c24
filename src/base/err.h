/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Errors that a person will read.
 *
 * A function that can fail in a way worth explaining takes `struct err *e` as its last parameter
 * and returns 0 or a negative errno. The struct lives on the caller's stack; nothing here
 * allocates. `e` may be NULL when the caller only wants the number. Where an error starts,
 * `err_set` gives it a class and a sentence; on the way up `err_wrap` puts context before the
 * sentence ("restore vm abc: load device state: ..."). The one that handles it logs it, once.
 *
 * Thread: a struct err belongs to the thread whose stack it is on. */

#include <stddef.h>

/* What kind of failure it is; one table (err_http_status) maps each to an HTTP status. */
enum err_class {
    ERR_NONE = 0,
    ERR_INVALID,      /* the request is malformed: 400 */
    ERR_UNAUTHORIZED, /* no or a wrong key: 401 */
    ERR_FORBIDDEN,    /* known caller, not allowed: 403 */
    ERR_NOT_FOUND,    /* 404 */
    ERR_METHOD,       /* path exists, method does not: 405 */
    ERR_CONFLICT,     /* illegal in the present state: 409 */
    ERR_TOO_LARGE,    /* a bound of limits.h exceeded by the request: 413 */
    ERR_UNSUPPORTED,  /* media type or feature: 415 */
    ERR_RANGE,        /* the asked part is beyond the end: 416 */
    ERR_TIMEOUT,      /* something of ours took too long: 504 */
    ERR_RATE,         /* too many requests of this caller: 429 + Retry-After */
    ERR_FULL,         /* admission refused, try again later: 503 + Retry-After */
    ERR_UNAVAILABLE,  /* a guest, monitor or dependency is gone: 502 */
    ERR_INTERNAL,     /* ours: 500 */
    ERR_CLASS_COUNT,
};

struct err {
    enum err_class class;
    char field[64];      /* the request field at fault, "" when none */
    char suggestion[64]; /* what was probably meant, "" when nothing is near */
    int retry_after_s;   /* for ERR_FULL and ERR_RATE; 0: no hint */
    char text[640];      /* a sentence without a final full stop; never a secret */
};

#define ERR_INIT          \
    {                     \
        .class = ERR_NONE \
    }

/* Makes an error; returns the class's usual negative errno (ERR_INVALID -EINVAL, ERR_NOT_FOUND
 * -ENOENT, ...), so that `return err_set(...)` is the idiom. */
int err_set(struct err *e, enum err_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Like err_set, for a request field at fault. The class is ERR_INVALID. */
int err_field(struct err *e, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An error of class ERR_INTERNAL from a negative errno: the text becomes "<what>: <strerror>".
 * Returns `r`. */
int err_errno(struct err *e, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the text. Returns `r` unchanged. Sets an ERR_INTERNAL when nothing was
 * set before. */
int err_wrap(struct err *e, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The HTTP status of a class; 500 for ERR_NONE and unknown ones. */
int err_http_status(enum err_class class);

/* The class as a word for logs and JSON: "invalid", "not_found", ... */
const char *err_class_name(enum err_class class);

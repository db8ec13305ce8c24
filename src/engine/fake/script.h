/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tiny language that the fake guest's programs are written in (README.md has its words).
 *
 * The interpreter does no I/O and never waits: it yields, one after the other, what the program
 * wants to happen, and whoever runs it carries that out at the pace of the reader. Text is hostile.
 * Thread: the monitor's only one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/fake/files.h"
#include "wire/exec_spec.h"

struct guest;

enum script_op {
    SCRIPT_WRITE,  /* data, len, to_stderr */
    SCRIPT_FLOOD,  /* number: bytes for standard output */
    SCRIPT_CAT,    /* all of standard input to standard output */
    SCRIPT_SLEEP,  /* number: milliseconds */
    SCRIPT_HANG,   /* until a signal */
    SCRIPT_EXIT,   /* number: the code. Always comes in the end; nothing may be asked after it */
    SCRIPT_SIGNAL, /* number: the signal it ends by. Likewise */
    SCRIPT_DIE,    /* the guest vanishes. Likewise */
};

struct script_event {
    enum script_op op;
    bool to_stderr;
    const char *data; /* borrowed until the next script_next or script_done */
    size_t len;
    int64_t number;
};

/* Zero-initialised, script_done is fine. */
struct script {
    const struct exec_spec *spec; /* borrowed */
    struct guest *guest;          /* borrowed */
    struct blob *text;            /* NULL: a program without text */
    size_t at;
    int program; /* index of the program's file in argv; what follows are its arguments */
    int end_code;
    struct blob *printing; /* a file's content on its way out */
    struct buf scratch;
    bool has_message; /* scratch is a message for standard error to begin with */
};

/* Chooses the program: the first of argv that names a file, else "true" or "false" by argv[0], else
 * one that ends with 127. 0 or -ENOMEM. */
int script_start(struct script *s, const struct exec_spec *spec, struct guest *g);

void script_next(struct script *s, struct script_event *ret);

void script_done(struct script *s);

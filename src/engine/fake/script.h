/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the fake guest's programs do: texts in a tiny language and a few programs by name (README.md
 * has both).
 *
 * The interpreter does no I/O and never waits: it yields, one after the other, what the program
 * wants to happen, and whoever runs it (program.h) carries that out at the pace of the reader. All
 * it knows is plain data, which can be saved and loaded. Text is hostile. Thread: the monitor's
 * only one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/fake/files.h"
#include "engine/fake/pack.h"
#include "engine/fake/tar.h"
#include "wire/exec_spec.h"

struct guest;

enum script_op {
    SCRIPT_WRITE,   /* data, len, to_stderr */
    SCRIPT_FLOOD,   /* number: bytes for standard output */
    SCRIPT_CAT,     /* all of standard input to standard output */
    SCRIPT_READ,    /* give standard input to script_read */
    SCRIPT_SLEEP,   /* number: milliseconds */
    SCRIPT_BUSY,    /* the same, computing all the while */
    SCRIPT_TICK,    /* every so many milliseconds (number) one more in the variable `data` */
    SCRIPT_MEMORY,  /* number: MiB that it has taken */
    SCRIPT_HANG,    /* until a signal */
    SCRIPT_ROWS,    /* the terminal's size to standard output */
    SCRIPT_CONNECT, /* to port `number` of script->address: send `data`, then print what comes */
    SCRIPT_EXIT,    /* number: the code. Always comes in the end; nothing may be asked after it */
    SCRIPT_SIGNAL,  /* number: the signal it ends by. Likewise */
    SCRIPT_DIE,     /* the guest vanishes. Likewise */
    SCRIPT_OP_COUNT,
};

struct script_event {
    enum script_op op;
    bool to_stderr;
    const char *data; /* borrowed until the next script_next or script_done */
    size_t len;
    int64_t number;
};

/* What it is: SCRIPT_TEXT a text with an end; SCRIPT_SHELL lines that come from standard input;
 * SCRIPT_ANSWER output that was made when it started; the others are tar.h. */
enum script_kind {
    SCRIPT_TEXT,
    SCRIPT_SHELL,
    SCRIPT_ANSWER,
    SCRIPT_TAR_CREATE,
    SCRIPT_TAR_EXTRACT,
    SCRIPT_KIND_COUNT,
};

#define SCRIPT_ADDRESS_SIZE 48

/* Zero-initialised, script_done is fine. */
struct script {
    const struct exec_spec *spec; /* borrowed */
    struct guest *guest;          /* borrowed */
    enum script_kind kind;
    struct blob *text; /* of a shell: the line at hand. NULL: none */
    size_t at;
    int program; /* index of the program's file in argv; what follows are its arguments */
    int end_code;
    bool is_asking; /* the shell has said that it is ready for a line */
    bool input_ended;
    struct blob *printing;  /* a file's content on its way out */
    struct buf scratch;     /* of the event at hand */
    struct buf out, errors; /* still to be said before anything else */
    char address[SCRIPT_ADDRESS_SIZE];
    struct tar *tar; /* of the two kinds that are one */
};

/* Chooses the program, by the rules of README.md. 0, -ENOMEM, or ERR_INVALID naming the field argv
 * when there is none. */
int script_start(struct script *s, const struct exec_spec *spec, struct guest *g, struct err *e);

void script_next(struct script *s, struct script_event *ret);

/* Takes from the front of standard input what a SCRIPT_READ wants, and returns how much that was;
 * 0: it needs more than there is. At the end of the input it takes all. */
size_t script_read(struct script *s, const char *data, size_t len, bool ended);

void script_done(struct script *s);

/* With the event at hand. Loading into a zero-initialised one is hostile; `ret` is then like from
 * script_next. */
void script_save(const struct script *s, const struct script_event *ev, struct buf *out);
int script_load(struct script *s, const struct exec_spec *spec, struct guest *g, struct unpack *u);
void script_load_event(struct script *s, struct script_event *ret, struct unpack *u);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A program of the fake guest while it runs: carries out what its script wants, at the pace at
 * which its owner takes the output. Thread: the monitor's only one. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/fake/script.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"

struct accept;
struct agent_stream;
struct guest;
struct job;

/* PROGRAM_ATTACHED: a request takes its output (exec.c). PROGRAM_ORPHAN: its session has ended, it
 * waits for `restored`; what it writes fills a pipe. PROGRAM_LET_GO: nobody will ever read it.
 * PROGRAM_JOB: its output goes to its job. */
enum program_owner {
    PROGRAM_ATTACHED,
    PROGRAM_ORPHAN,
    PROGRAM_LET_GO,
    PROGRAM_JOB,
    PROGRAM_OWNER_COUNT
};

struct program {
    struct guest *guest;
    struct program *prev, *next; /* in guest->programs */
    enum program_owner owner;
    struct agent_stream *stream; /* of the attached: whose window its input is. Else NULL */
    struct job *job;             /* of PROGRAM_JOB */
    struct exec_spec spec;
    struct script script;
    struct script_event event; /* len and number count down */
    int64_t pid;
    int rows, cols; /* of its terminal */
    struct buf in;  /* what it has not read */
    bool in_ended;
    struct buf staged; /* output as frames */
    bool ended;
    bool has_more; /* it stopped because it had its turn, not because it waits */
    int64_t start_us;
    int64_t wake_us;       /* end of a sleep, next tick; 0: none */
    int64_t limit_us;      /* end of the program's time; 0: none */
    int64_t busy_us;       /* computing since; 0: it is not */
    int64_t tick_us;       /* when the last tick was seen */
    struct accept *accept; /* the other end of its connection; NULL: none */
    struct exec_exit exit;
};

/* Starts what *spec says, which it takes on success. ERR_INVALID names the field. */
int program_start(struct guest *g, struct exec_spec *spec, struct program **ret, struct err *e);
/* Its end, if that has not come yet; nobody is told. */
void program_free(struct program *p);

/* Goes on until `room` bytes are staged, or it waits or ends. */
void program_run(struct program *p, size_t room);
/* Something that it waits for may have come. */
void program_poke(struct program *p);

/* Input from its client; returns how many bytes were kept, whose window is given back later, or
 * -ENOMEM. */
ssize_t program_input(struct program *p, const void *data, size_t len);
void program_end_input(struct program *p);
void program_signal(struct program *p, int sig);

/* The session is over: it waits for `restored`. */
void program_orphan(struct program *p);
/* Of all that wait: let them go on alone, or kill them. */
void programs_settle(struct guest *g, bool keep);
void programs_kill_all(struct guest *g);

int64_t programs_due_us(const struct guest *g);
void programs_wake(struct guest *g);
void programs_skip(struct guest *g, int64_t us);
int64_t programs_cpu_us(const struct guest *g, int64_t now_us);

void programs_save(const struct guest *g, struct buf *out);
/* After the jobs. */
int programs_load(struct guest *g, struct unpack *u);

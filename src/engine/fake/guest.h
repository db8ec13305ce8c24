/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest: a file table, variables and programs instead of a machine. It does no I/O but to
 * its disk; machine.c moves the bytes.
 *
 * Time stands still while the monitor is paused: guest_skip moves every deadline by as much.
 * Thread: the monitor's only one. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/fake/disk.h"
#include "engine/fake/files.h"
#include "engine/fake/jobs.h"
#include "engine/fake/vars.h"
#include "wire/report.h"

struct accept;
struct console;
struct program;
struct warm;

enum guest_exec_fault { GUEST_EXEC_FINE, GUEST_EXEC_RESET, GUEST_EXEC_DIE };

/* What becomes of programs that wait, by order. */
enum warm_fault {
    WARM_FINE,
    WARM_REFUSED, /* none comes to wait */
    WARM_DEAD,    /* those of the template have died */
};

/* How the guest has come to an end. */
enum guest_end {
    GUEST_RUNS,
    GUEST_WANTS_OFF,    /* after what is still to be sent */
    GUEST_WANTS_REBOOT, /* likewise; then it runs again */
    GUEST_DIED,         /* at once: nothing more is sent */
};

struct guest {
    struct files files;
    struct disk disk;
    struct vars vars;
    struct jobs jobs;
    struct program *programs; /* that run, and ended ones whose end was not told yet */
    struct accept *accepts;   /* waiting for a connection, or connected */
    struct warm *warms;       /* that wait */
    struct console *console;  /* borrowed; NULL: none */
    enum warm_fault warm_fault;
    enum guest_exec_fault exec_fault;
    bool grow_fails;
    bool ignores_power;
    enum guest_end end;
    int64_t next_pid;
    char boot_id[37];
    char id[REPORT_ID_MAX_BYTES + 1];
    char hostname[REPORT_HOSTNAME_MAX_BYTES + 1];
    int64_t started_us;
    int64_t clock_offset_ns; /* of the guest's clock to the host's */
    int64_t clock_step_ms;
    bool reseeded;
    bool session_ends;        /* streams are closed because their session is over */
    int64_t orphans_limit_us; /* end of the programs that no session wants; 0: none */
    int64_t cpu_us;           /* of what programs are done with; guest_cpu_us has it all */
    uint64_t io_bytes;        /* beyond what the files were written */
};

/* The moment after a boot: no programs, no variables; the files stay. */
void guest_boot(struct guest *g);
/* The files of a fresh image. */
int guest_install(struct guest *g);
void guest_done(struct guest *g);

/* Appends what a template keeps of the guest's memory: programs, jobs, variables, boot id, clock.
 * Its disk is apart (disk.h). */
int guest_save(const struct guest *g, struct buf *out);

/* Makes the guest what it was then, its clock behind by the time since. To be called with the files
 * of then. Hostile text. */
int guest_load(struct guest *g, const void *data, size_t len, struct err *e);

/* A session of the agent begins. */
void guest_session_begins(struct guest *g);
/* To be called around the end of a session's streams. */
void guest_session_ends(struct guest *g);
void guest_session_ended(struct guest *g);

/* Who it is, told after a restore. "" stays as it is. */
void guest_identify(struct guest *g, const char *id, const char *hostname);

int64_t guest_real_ms(const struct guest *g);

/* When something is to go on, by clock_mono_us; 0: nothing. */
int64_t guest_due_us(const struct guest *g);
/* Lets go on whose time has come, and what does not wait for a client. */
void guest_wake(struct guest *g);
void guest_skip(struct guest *g, int64_t us);

/* What the programs have computed since the monitor started. */
int64_t guest_cpu_us(const struct guest *g, int64_t now_us);

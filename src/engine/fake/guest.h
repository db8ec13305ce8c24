/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the fake guest's agent answers: the requests of docs/agent-protocol.md over a table of files
 * instead of a machine. It does no I/O; monitor.c moves the bytes.
 *
 * Time stands still while the monitor is paused: guest_skip moves every deadline by as much.
 * Thread: the monitor's only one. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/fake/disk.h"
#include "engine/fake/files.h"
#include "engine/fake/vars.h"
#include "wire/agent_server.h"

struct exec;

enum guest_exec_fault { GUEST_EXEC_FINE, GUEST_EXEC_RESET, GUEST_EXEC_DIE };

/* How the guest has come to an end. */
enum guest_end {
    GUEST_RUNS,
    GUEST_WANTS_OFF,    /* after what is still to be sent */
    GUEST_WANTS_REBOOT, /* likewise; then it runs again */
    GUEST_DIED,         /* at once: nothing more is sent */
};

struct console;

struct guest {
    struct files files;
    struct disk disk;
    struct vars vars;
    struct console *console; /* borrowed; NULL: none */
    enum guest_exec_fault exec_fault;
    bool grow_fails;
    bool ignores_power;
    enum guest_end end;
    struct exec *execs; /* that have started and whose streams are open */
    int64_t next_pid;
    char boot_id[37];
    int64_t started_us;
    int64_t clock_offset_ns; /* of the guest's clock to the host's */
    int64_t clock_step_ms;
    bool reseeded;
    int64_t cpu_us;    /* of programs that have ended or are past that; guest_cpu_us has it all */
    uint64_t io_bytes; /* beyond what the files were written */
};

/* Returns it to the moment after a boot; the files stay. */
void guest_boot(struct guest *g);
/* The files of a fresh image. */
int guest_install(struct guest *g);
void guest_done(struct guest *g);

/* Appends what a template keeps of the guest's memory; its disk is apart (disk.h). */
int guest_save(const struct guest *g, struct buf *out);

/* Makes the guest what it was then, its clock behind by the time since. Hostile text. */
int guest_load(struct guest *g, const void *data, size_t len, struct err *e);

/* The agent_server's owner must be the guest. */
extern const struct agent_server_ops guest_server_ops;

/* When the next program wants to go on, by clock_mono_us; 0: none. */
int64_t guest_due_us(const struct guest *g);
/* Lets programs go on whose time has come. */
void guest_wake(struct guest *g);
void guest_skip(struct guest *g, int64_t us);

/* What the programs have computed since the monitor started. */
int64_t guest_cpu_us(const struct guest *g);

/* One request; what the parts of the guest share. */
struct call {
    struct guest *guest;
    struct agent_stream *stream;
    struct buf body;
    struct exec *exec;
    char *path; /* of a PUT */
    bool refused;
};

void call_reply(struct call *c, int status, const char *json, size_t len);
void call_fail(struct call *c, int status, const struct err *e);

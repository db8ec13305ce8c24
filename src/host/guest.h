/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the host asks of a guest's agent: typed calls on top of a link (docs/agent-protocol.md).
 *
 * They block until the deadline (clock_mono_ms, never 0) at the latest. Whatever the guest answers
 * is checked; a guest that answers nonsense is as good as gone: ERR_UNAVAILABLE, as is a link that
 * has ended. What the agent refused has the class of its status (ERR_NOT_FOUND, ERR_INVALID,
 * ERR_CONFLICT, ERR_TOO_LARGE also for a full disk) and the agent's sentence, cut and made
 * printable. ERR_TIMEOUT: the deadline. Any thread; any number at once on one link. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "host/link.h"
#include "wire/exec_spec.h"
#include "wire/guest_job.h"
#include "wire/guest_stat.h"
#include "wire/report.h"

/* Waits until the agent answers. `ret` may be NULL. */
int guest_wait_ready(struct link *l, int64_t deadline_ms, struct agent_report *ret, struct err *e);

/* Who a restored guest is. */
struct guest_identity {
    const char *id;       /* NULL: stays as it is; likewise hostname */
    const char *hostname; /* 1 to 63 of [a-z0-9-] */
    bool keep;            /* programs of the session before go on (a clone's); false: are killed */
    int behind_s;         /* its clock is set so far behind ours */
};

/* To be called after every restore, before anything else runs: sets the guest's clock, reseeds its
 * random generator with fresh bytes and checks that both were done. `who` and `ret` may be NULL. */
int guest_restored(struct link *l, const struct link_wait *w, const struct guest_identity *who,
                   struct agent_report *ret, struct err *e);

/* A file to write; missing directories are made, with the same owner. Borrowed. */
struct guest_file {
    const char *path; /* absolute, any bytes but NUL, at most AGENT_PATH_MAX_BYTES */
    const void *data;
    size_t len;
    unsigned mode; /* permission bits */
    bool in_place; /* what is there already keeps its inode, for who has it open */
    uint32_t uid;
    uint32_t gid;
};

int guest_put_file(struct link *l, const struct guest_file *f, int64_t deadline_ms, struct err *e);

/* Appends the file to `ret`, whose max_bytes bounds it: ERR_TOO_LARGE. On failure `ret` holds what
 * came until then. */
int guest_get_file(struct link *l, const char *path, int64_t deadline_ms, struct buf *ret,
                   struct err *e);

/* The same without a bound, piece by piece, on the caller's thread; a negative return ends it with
 * -ECANCELED. */
struct guest_sink {
    int (*write)(void *arg, const void *data, size_t len);
    void *arg;
    int64_t deadline_ms;
};
int guest_get_file_to(struct link *l, const char *path, const struct guest_sink *sink,
                      struct err *e);

/* One program, with files that are in place before it starts. Borrowed for the call. */
struct guest_exec {
    const struct exec_spec *spec; /* has_stdin says whether there is a standard input at all */
    const struct guest_file *files;
    size_t n_files;
    const void *stdin_data;
    size_t stdin_len;
    int64_t deadline_ms;          /* for all of it: beyond spec->timeout_ms */
    bool (*cancelled)(void *arg); /* asked about ten times a second; may be NULL */
    /* Output as it comes, on the caller's thread; stream is 1 or 2. A slow one holds up the
     * program, nothing else. Negative ends it. NULL: thrown away. */
    int (*output)(void *arg, int stream, const void *data, size_t len);
    void *arg;
    bool started; /* out, also on failure: the agent has told that the program runs */
};

/* Runs it to its end: 0 and *ret; how the program ended is no error. Everything is sent without
 * waiting for answers in between; an error of a file wins over the program's. -ECANCELED
 * (ERR_UNAVAILABLE): cancelled by `cancelled` or `output`. Whenever it fails the agent kills the
 * program if it started. */
int guest_exec(struct link *l, struct guest_exec *x, struct exec_exit *ret, struct err *e);

/* --- programs that wait: spec->warm names them; guest_exec with that name runs one --- */

/* Starts one and returns when it waits. ERR_CONFLICT: it did not come to that, or one of that name
 * is there. */
int guest_warm_start(struct link *l, const struct exec_spec *spec, const struct link_wait *w,
                     struct err *e);
/* Has it rehearse; the same. */
int guest_warm_rehearse(struct link *l, const struct exec_spec *spec, const struct link_wait *w,
                        struct err *e);

/* --- streams of any size; the caller reads, writes and frees the link_stream --- */

struct guest_range {
    const char *path;
    int64_t offset;
    int64_t length; /* < 0: to the end */
};

/* Returns when the agent has answered: ERR_NOT_FOUND and the like. A guest may still send less than
 * there is, or more than was asked for. */
int guest_open_read(struct link *l, const struct guest_range *g, const struct link_wait *w,
                    struct link_stream **ret, struct err *e);
/* f->data and len do not count. After link_stream_end, or when a write was refused (-EPIPE),
 * guest_finish_write tells whether the file is there, or why not. */
int guest_open_write(struct link *l, const struct guest_file *f, const struct link_wait *w,
                     struct link_stream **ret, struct err *e);
int guest_finish_write(struct link_stream *s, const struct link_wait *w, struct err *e);

/* What is below a directory, as tar, packed and unpacked by the agent itself (so the guest needs no
 * tar). No symbolic link is followed on the way, and nothing leads out of `root`. */
struct guest_tree {
    const char *root;  /* absolute */
    const char *path;  /* relative to it; "" is the root itself */
    uint32_t uid, gid; /* writing: with whose rights, and whose it becomes */
};
/* Returns when the agent has answered, as guest_open_read. `path` may be a file: a tar of one. */
int guest_open_pack(struct link *l, const struct guest_tree *t, const struct link_wait *w,
                    struct link_stream **ret, struct err *e);
/* As guest_open_write; made when it is missing. What was unpacked before a failure stays. */
int guest_open_unpack(struct link *l, const struct guest_tree *t, const struct link_wait *w,
                      struct link_stream **ret, struct err *e);

/* A program whose standard input and output are streams; it may have a terminal (spec->pty). One
 * thread reads; one writes, ends the input and resizes. */
struct guest_program;
/* Returns when it runs, or with why it could not be started. */
int guest_program_open(struct link *l, const struct exec_spec *spec, const struct link_wait *w,
                       struct guest_program **ret, struct err *e);
/* A piece of output; *ret_stream is 1 or 2. 0: the program has ended. */
ssize_t guest_program_read(struct guest_program *p, void *buf, size_t max, int *ret_stream,
                           const struct link_wait *w, struct err *e);
int guest_program_write(struct guest_program *p, const void *data, size_t len,
                        const struct link_wait *w, struct err *e);
int guest_program_end_input(struct guest_program *p, const struct link_wait *w, struct err *e);
int guest_program_resize(struct guest_program *p, int rows, int cols, const struct link_wait *w,
                         struct err *e);
/* After read returned 0. */
void guest_program_exit(const struct guest_program *p, struct exec_exit *ret);
void guest_program_shutdown(struct guest_program *p); /* any thread; as link_stream_shutdown */
void guest_program_free(struct guest_program *p);     /* kills it when it has not ended */

/* --- the file system --- */

int guest_get_stat(struct link *l, const char *path, int64_t deadline_ms, struct guest_stat *ret,
                   struct err *e);
/* *ret is an array of {"name", "type", "size", "mode", "uid", "gid", "mtime_ms"}, checked; the
 * caller owns it. More than AGENT_LIST_MAX: ERR_TOO_LARGE. */
int guest_list_dir(struct link *l, const char *path, int64_t deadline_ms, json_t **ret,
                   struct err *e);
/* The file, or the directory with all that is in it; never follows a link. */
int guest_remove(struct link *l, const char *path, int64_t deadline_ms, struct err *e);
/* Makes the root file system fill its disk, which the monitor says has `disk_bytes`. */
int guest_grow(struct link *l, int64_t disk_bytes, int64_t deadline_ms, struct err *e);

/* --- jobs: programs that belong to no session --- */

/* spec->job names it. */
int guest_job_start(struct link *l, const struct exec_spec *spec, const void *stdin_data,
                    size_t stdin_len, int64_t deadline_ms, struct err *e);
/* `id` NULL: all. */
int guest_job_list(struct link *l, const char *id, int64_t deadline_ms, struct guest_jobs *ret,
                   struct err *e);
struct guest_job_output {
    int64_t offset;      /* begins here, or at what is kept when that is less */
    bool follow;         /* goes on until the job has ended */
    int64_t deadline_ms; /* 0: none */
    /* On the caller's thread; `offset` is that of the first byte. Negative ends it (-ECANCELED). */
    int (*output)(void *arg, int stream, int64_t offset, const void *data, size_t len);
    bool (*cancelled)(void *arg); /* asked about ten times a second; may be NULL */
    void *arg;
    bool ended;            /* out: the job has ended, all its output was delivered */
    struct exec_exit exit; /* out: then */
};
int guest_job_output(struct link *l, const char *id, struct guest_job_output *o, struct err *e);
int guest_job_signal(struct link *l, const char *id, int signal, int64_t deadline_ms,
                     struct err *e);
int guest_job_forget(struct link *l, const char *id, int64_t deadline_ms, struct err *e);

/* The next connection that a program of the guest makes to address:port inside; `address` NULL is
 * 127.0.0.1. `w` may wait long. Bytes of the connection are the stream's, each way with its end. */
int guest_accept(struct link *l, const char *address, int port, const struct link_wait *w,
                 struct link_stream **ret, struct err *e);

/* Returns once everything written in the guest is on its disk. */
int guest_sync(struct link *l, int64_t deadline_ms, struct err *e);

/* Asks for power off or reboot, which happens after the answer. */
int guest_power(struct link *l, bool reboot, int64_t deadline_ms, struct err *e);

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

#include "base/buf.h"
#include "base/err.h"
#include "host/link.h"
#include "wire/exec_spec.h"
#include "wire/report.h"

/* Waits until the agent answers. `ret` may be NULL. */
int guest_wait_ready(struct link *l, int64_t deadline_ms, struct agent_report *ret, struct err *e);

/* To be called after every restore, before anything else runs: sets the guest's clock, reseeds its
 * random generator with fresh bytes and checks that both were done. `ret` may be NULL. */
int guest_restored(struct link *l, const struct link_wait *w, struct agent_report *ret,
                   struct err *e);

/* A file to write; missing directories are made, with the same owner. Borrowed. */
struct guest_file {
    const char *path; /* absolute, any bytes but NUL, at most AGENT_PATH_MAX_BYTES */
    const void *data;
    size_t len;
    unsigned mode; /* permission bits */
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

/* Returns once everything written in the guest is on its disk. */
int guest_sync(struct link *l, int64_t deadline_ms, struct err *e);

/* Asks for power off or reboot, which happens after the answer. */
int guest_power(struct link *l, bool reboot, int64_t deadline_ms, struct err *e);

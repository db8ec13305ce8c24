/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A client of QEMU's machine protocol, for one short conversation: connect, a few commands, hang
 * up. No connection is kept between calls of the engine, so a restarted daemon has nothing to
 * recover. Each command has an id: what a former client asked before it was killed may be answered
 * to the next one. The peer is a monitor that may have been broken into: its messages are bounded
 * in size (QMP_MESSAGE_MAX_BYTES) and the whole conversation in time. Thread: the caller's. */

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct qmp {
    int fd;
    struct buf in;
    int64_t deadline_ms; /* clock_mono_ms of the conversation's end */
    int64_t started_us;  /* makes its commands' ids different from those of other conversations */
    unsigned sent, answered;
};

#define QMP_INIT     \
    {                \
        .fd = -EBADF \
    }

/* Connects and negotiates. `timeout_ms` is for everything until qmp_done. ERR_UNAVAILABLE when
 * nobody listens (the monitor is gone), ERR_TIMEOUT when it does not answer. */
int qmp_connect(struct qmp *q, const char *path, int timeout_ms, struct err *e);
void qmp_done(struct qmp *q);
#define auto_qmp CLEANUP(qmp_done)

/* Runs a command. Takes `arguments` (NULL: none), also on failure. `ret` (may be NULL) gets what
 * was returned; the caller decrefs. An error that QEMU reports is ERR_INTERNAL with its words. */
int qmp_run(struct qmp *q, const char *command, json_t *arguments, json_t **ret, struct err *e);

/* The two halves of qmp_run: commands may be sent ahead; each is to be answered once, in order. */
int qmp_send(struct qmp *q, const char *command, json_t *arguments, struct err *e);
int qmp_answer(struct qmp *q, const char *command, json_t **ret, struct err *e);

/* Hands a descriptor over (it stays the caller's). `set` < 0 makes a new set. `word` (may be NULL)
 * is what query-fdsets will tell it by. Returns the number of the set, under which QEMU opens it as
 * /dev/fdset/N. */
int qmp_add_fd(struct qmp *q, int fd, int set, const char *word, struct err *e);

/* Cuts the first line from the buffer and parses it. 0; -EAGAIN: no whole line yet; -EBADMSG: not a
 * JSON object. Exported for the fuzzer. */
int qmp_take_message(struct buf *in, json_t **ret);

static inline void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define auto_json CLEANUP(cleanup_json)

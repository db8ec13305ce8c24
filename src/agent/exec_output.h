/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a program prints, on its way to the client: from the pipe straight into HTTP/2's buffer, and
 * only when the client's window has room. Nothing is kept here but a few small frames. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/call.h"
#include "agent/loop.h"
#include "base/buf.h"
#include "wire/frame.h"

struct exec_pipe {
    struct loop_watch watch; /* first; fd negative: at its end */
    struct exec_output *output;
    enum frame_type type;
    int64_t bytes;    /* read so far */
    int64_t cut_left; /* bytes still wanted after exec_output_cut; negative: all */
    bool ready;       /* the last read did not find it empty */
    bool dropping;    /* the bound was reached: what comes is read and dropped */
};

struct exec_output {
    struct agent *agent;
    struct call *call; /* NULL: the client is gone */
    struct exec_pipe pipes[2];
    int64_t limit_bytes; /* of each stream that go to the client; 0: all */
    int turn;            /* which pipe is looked at first */
    struct buf staged;
    void (*drained)(struct exec_output *o); /* exec_output_discard has come to its end */
};

void exec_output_init(struct exec_output *o, struct call *c);
void exec_output_done(struct exec_output *o);

/* Takes both fds (non-blocking), also on failure. err_fd may be negative. */
int exec_output_open(struct exec_output *o, int out_fd, int err_fd);

/* The client is gone. From now on nothing is read. */
void exec_output_orphan(struct exec_output *o);

/* Of an orphan: reads what comes and throws it away; `drained` is called once both pipes have come
 * to their end, maybe at once. */
void exec_output_discard(struct exec_output *o);

/* Reads no more: a terminal whose other owner has let go of it as well hangs up. */
void exec_output_close(struct exec_output *o);

/* Puts a whole frame in line. */
int exec_output_stage(struct exec_output *o, enum frame_type type, const void *data, size_t len);

/* Fills `buf` with the next bytes of frames; AGENT_PULL_LATER when there are none now. */
ssize_t exec_output_pull(struct exec_output *o, uint8_t *buf, size_t size);

/* Both pipes were read to their end and nothing is staged. */
bool exec_output_ended(const struct exec_output *o);

/* Some process still has one of the pipes open for writing. */
bool exec_output_is_held(const struct exec_output *o);

/* From now on takes only what is in the pipes at this moment. */
void exec_output_cut(struct exec_output *o);

int64_t exec_output_bytes(const struct exec_output *o, enum frame_type type);

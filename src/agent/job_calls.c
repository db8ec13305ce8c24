/* SPDX-License-Identifier: Apache-2.0 */

/* Requests about jobs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/job_priv.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "wire/guest_job.h"

#define PREFIX "/v1/jobs/"
/* What precedes each piece of output: an N frame and a header. */
#define PIECE_HEAD_BYTES (FRAME_HEADER_BYTES + FRAME_OFFSET_BYTES + FRAME_HEADER_BYTES)
/* With less room than this a piece goes through `staged`. */
#define DIRECT_MIN_BYTES 256
#define STAGED_BYTES 1024

struct job_reader {
    struct job *job; /* NULL: it was forgotten */
    struct call *call;
    struct job_reader *next;
    struct spool_cursor cursor;
    int64_t stop_at; /* where output ended when the request came; negative: follows */
    struct buf staged;
    bool exit_staged;
};

/* --- looking one up --- */

/* The job of /v1/jobs/ID<tail>; answers by itself when there is none. */
static struct job *find(struct call *c, const char *tail)
{
    struct err e = ERR_INIT;
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    const char *at = c->stream->path + strlen(PREFIX);
    size_t len = strcspn(at, "/");
    struct job *j = NULL;
    if (strcmp(at + len, tail) != 0) {
        err_set(&e, ERR_NOT_FOUND, "no such path: %.200s", c->stream->path);
    } else if (len < sizeof(id)) {
        snprintf(id, sizeof(id), "%.*s", (int)len, at);
        j = job_find(c->agent, id);
    }
    if (j)
        return j;
    if (e.class == ERR_NONE)
        err_set(&e, ERR_NOT_FOUND, "no such job");
    call_fail(c, 0, &e);
    return NULL;
}

static int describe(const struct job *j, struct buf *out)
{
    struct guest_job g = {
        .argv = j->argv,
        .pid = j->pid,
        .running = !j->ended,
        .exit = j->program.exit,
        .started_ms = j->started_ms,
        .output_bytes = j->spool.end,
        .first_offset = spool_first(&j->spool),
    };
    snprintf(g.id, sizeof(g.id), "%s", j->id);
    g.wall_ms =
        j->ended ? j->program.exit.wall_us / 1000 : (clock_mono_us() - j->program.start_us) / 1000;
    return guest_job_encode(&g, out);
}

void job_list(struct call *c)
{
    auto_buf struct buf json = {0};
    int r = buf_append_str(&json, "{\"jobs\":[");
    for (struct job *j = c->agent->jobs.first; j && r == 0; j = j->next) {
        r = describe(j, &json);
        if (r == 0 && j->next)
            r = buf_append_str(&json, ",");
    }
    if (r == 0)
        r = buf_append_str(&json, "]}");
    if (r < 0)
        agent_server_abort(c->stream);
    else
        call_reply(c, 200, json.data, json.len);
}

/* --- output --- */

void job_readers_wake(struct job *j)
{
    for (struct job_reader *rd = j->readers; rd; rd = rd->next)
        agent_server_resume(rd->call->stream);
}

void job_readers_drop(struct job *j)
{
    for (struct job_reader *rd = j->readers; rd; rd = rd->next) {
        rd->job = NULL;
        agent_server_abort(rd->call->stream);
    }
    j->readers = NULL;
}

/* Fills `buf`, which is larger than the heads, with a piece of output and them. 0: none now. */
static ssize_t read_piece(struct job_reader *rd, uint8_t *buf, size_t size)
{
    struct spool_piece piece;
    size_t room = size - PIECE_HEAD_BYTES;
    if (room > AGENT_FRAME_MAX_BYTES)
        room = AGENT_FRAME_MAX_BYTES;
    if (rd->stop_at >= 0 && rd->cursor.offset >= rd->stop_at)
        return 0;
    if (rd->stop_at >= 0 && (int64_t)room > rd->stop_at - rd->cursor.offset)
        room = (size_t)(rd->stop_at - rd->cursor.offset);
    ssize_t n = spool_read(&rd->job->spool, &rd->cursor, buf + PIECE_HEAD_BYTES, room, &piece);
    if (n <= 0)
        return n;
    frame_offset(buf, piece.offset);
    frame_header(buf + FRAME_HEADER_BYTES + FRAME_OFFSET_BYTES, piece.type, (size_t)n);
    return n + PIECE_HEAD_BYTES;
}

static ssize_t give_staged(struct job_reader *rd, uint8_t *buf, size_t size)
{
    size_t n = rd->staged.len < size ? rd->staged.len : size;
    memcpy(buf, rd->staged.data, n);
    buf_consume(&rd->staged, n);
    return (ssize_t)n;
}

static int stage_exit(struct job_reader *rd)
{
    auto_buf struct buf json = {0};
    uint8_t head[FRAME_HEADER_BYTES];
    exec_exit_encode(&rd->job->program.exit, &json);
    frame_header(head, FRAME_EXIT, json.len);
    buf_append(&rd->staged, head, sizeof(head));
    rd->exit_staged = true;
    return json.failed ? -ENOMEM : buf_append(&rd->staged, json.data, json.len);
}

/* All output that is there was given. */
static ssize_t at_end(struct job_reader *rd, uint8_t *buf, size_t size)
{
    const struct job *j = rd->job;
    if (!rd->exit_staged && j->ended && rd->cursor.offset >= j->spool.end) {
        if (stage_exit(rd) < 0)
            return AGENT_PULL_ABORT;
        return give_staged(rd, buf, size);
    }
    return rd->exit_staged || rd->stop_at >= 0 ? AGENT_PULL_END : AGENT_PULL_LATER;
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    const struct call *c = st->data;
    struct job_reader *rd = c->data;
    uint8_t some[PIECE_HEAD_BYTES + STAGED_BYTES];
    if (!rd->job)
        return AGENT_PULL_ABORT;
    if (rd->staged.len)
        return give_staged(rd, buf, size);
    bool direct = size >= DIRECT_MIN_BYTES;
    ssize_t n = read_piece(rd, direct ? buf : some, direct ? size : sizeof(some));
    if (n < 0)
        return AGENT_PULL_ABORT;
    if (n == 0)
        return at_end(rd, buf, size);
    if (direct)
        return n;
    if (buf_append(&rd->staged, some, (size_t)n) < 0)
        return AGENT_PULL_ABORT;
    return give_staged(rd, buf, size);
}

static void read_output(struct call *c)
{
    static const char *const names[] = {"offset", "follow", NULL};
    struct err e = ERR_INIT;
    int64_t offset = 0, follow = 0;
    int r = call_params_only(c, names, &e);
    r = r < 0 ? r : call_number(c, "offset", INT64_MAX, &offset, &e);
    r = r < 0 ? r : call_number(c, "follow", 1, &follow, &e);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    struct job *j = find(c, "/output");
    if (!j)
        return;
    struct job_reader *rd = calloc(1, sizeof(*rd));
    if (!rd) {
        agent_server_abort(c->stream);
        return;
    }
    *rd = (struct job_reader){
        .job = j,
        .call = c,
        .next = j->readers,
        .cursor.offset = offset,
        .stop_at = follow ? -1 : j->spool.end,
    };
    j->readers = rd;
    c->data = rd;
    if (agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        agent_server_abort(c->stream);
}

static void read_description(struct call *c)
{
    auto_buf struct buf json = {0};
    struct job *j = find(c, "");
    if (!j)
        return;
    if (describe(j, &json) < 0)
        agent_server_abort(c->stream);
    else
        call_reply(c, 200, json.data, json.len);
}

void job_get_begin(struct call *c)
{
    if (strchr(c->stream->path + strlen(PREFIX), '/'))
        read_output(c);
    else
        read_description(c);
}

void job_get_closed(struct call *c)
{
    struct job_reader *rd = c->data;
    if (!rd)
        return;
    struct job_reader **at = rd->job ? &rd->job->readers : NULL;
    while (at && *at != rd)
        at = &(*at)->next;
    if (at)
        *at = rd->next;
    buf_done(&rd->staged);
    free(rd);
}

/* --- signal and forget --- */

void job_signal(struct call *c)
{
    static const char *const names[] = {"signal", NULL};
    struct err e = ERR_INIT;
    int64_t sig = 0;
    int r = call_params_only(c, names, &e);
    r = r < 0 ? r : call_number(c, "signal", SIGRTMAX, &sig, &e);
    if (r == 0 && sig == 0)
        r = err_field(&e, "signal", "signal is missing or 0");
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    struct job *j = find(c, "/signal");
    if (!j)
        return;
    program_signal(&j->program, (int)sig);
    call_reply(c, 200, "{}", 2);
}

void job_forget(struct call *c)
{
    struct err e = ERR_INIT;
    struct job *j = find(c, "");
    if (!j)
        return;
    if (!j->ended) {
        err_set(&e, ERR_CONFLICT, "job %s runs", j->id);
        call_fail(c, 0, &e);
        return;
    }
    job_drop(c->agent, j);
    call_reply(c, 200, "{}", 2);
}

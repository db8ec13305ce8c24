/* SPDX-License-Identifier: Apache-2.0 */

/* Detached programs of a guest. guest_job_start is with the other programs, in guest_exec.c. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "host/guest.h"
#include "host/guest_priv.h"
#include "wire/frame.h"

/* "/v1/jobs/ID<tail>" */
static int job_url(struct buf *b, const char *id, const char *tail, struct err *e)
{
    if (!exec_job_id_is_valid(id))
        return err_set(e, ERR_NOT_FOUND, "no such job");
    int r = buf_printf(b, "/v1/jobs/%s%s", id, tail);
    return r < 0 ? err_errno(e, r, "encode a request to the agent") : 0;
}

static int decode_list(const struct buf *answer, const char *id, struct guest_jobs *ret,
                       struct err *e)
{
    if (!id)
        return guest_jobs_decode(buf_str(answer), answer->len, ret, e);
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    int r = guest_job_decode(buf_str(answer), answer->len, &jobs, e);
    if (r < 0)
        return r;
    if (strcmp(jobs.items[0].id, id) != 0)
        return err_set(e, ERR_UNAVAILABLE, "it is about another job");
    *ret = jobs;
    jobs = (struct guest_jobs){0};
    return 0;
}

int guest_job_list(struct link *l, const char *id, int64_t deadline_ms, struct guest_jobs *ret,
                   struct err *e)
{
    auto_buf struct buf url = {0}, answer = {.max_bytes = AGENT_ANSWER_MAX_BYTES};
    int r = id ? job_url(&url, id, "", e) : buf_append_str(&url, "/v1/jobs");
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"GET", buf_str(&url), NULL, &w, 200};
    r = guest_simple(l, &s, &answer, e);
    if (r < 0)
        return r;
    r = decode_list(&answer, id, ret, e);
    return r < 0 ? guest_nonsense(e) : 0;
}

int guest_job_signal(struct link *l, const char *id, int signal, int64_t deadline_ms, struct err *e)
{
    auto_buf struct buf url = {0};
    char tail[32];
    snprintf(tail, sizeof(tail), "/signal?signal=%d", signal);
    int r = job_url(&url, id, tail, e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"POST", buf_str(&url), NULL, &w, 200};
    return guest_simple(l, &s, NULL, e);
}

int guest_job_forget(struct link *l, const char *id, int64_t deadline_ms, struct err *e)
{
    auto_buf struct buf url = {0};
    int r = job_url(&url, id, "", e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"DELETE", buf_str(&url), NULL, &w, 200};
    return guest_simple(l, &s, NULL, e);
}

/* --- output --- */

struct job_reader {
    struct guest_job_output *o;
    struct frame_decoder decoder;
    struct buf text; /* of an X or N frame */
    int64_t offset;  /* of the next byte */
    bool placed;     /* an N frame has told of the O or E frame that comes */
    int r;           /* what ended it, with `err`; 0: nothing */
    struct err err;
};

static int read_offset(struct job_reader *rd)
{
    if (rd->text.len != FRAME_OFFSET_BYTES)
        return err_set(&rd->err, ERR_UNAVAILABLE, "an offset of %zu bytes", rd->text.len);
    uint64_t offset = frame_number((const uint8_t *)rd->text.data, FRAME_OFFSET_BYTES);
    if (offset > INT64_MAX || (int64_t)offset < rd->offset)
        return err_set(&rd->err, ERR_UNAVAILABLE, "an offset before the last one");
    rd->offset = (int64_t)offset;
    rd->placed = true;
    return 0;
}

static int read_text(struct job_reader *rd, const struct frame_piece *p)
{
    if (buf_append(&rd->text, p->data, p->len) < 0)
        return err_set(&rd->err, ERR_UNAVAILABLE, "frame too large");
    if (!p->end)
        return 0;
    int r = 0;
    if (p->type == FRAME_OFFSET) {
        r = read_offset(rd);
    } else {
        r = exec_exit_decode(buf_str(&rd->text), rd->text.len, &rd->o->exit, &rd->err);
        rd->o->ended = r == 0;
    }
    buf_clear(&rd->text);
    return r;
}

static int read_piece(struct job_reader *rd, const struct frame_piece *p)
{
    struct guest_job_output *o = rd->o;
    if (o->ended)
        return err_set(&rd->err, ERR_UNAVAILABLE, "a frame after the last one");
    if (p->type == FRAME_OFFSET || p->type == FRAME_EXIT)
        return read_text(rd, p);
    if (!rd->placed || rd->offset > INT64_MAX - (int64_t)p->len)
        return err_set(&rd->err, ERR_UNAVAILABLE, "output without an offset");
    int64_t offset = rd->offset;
    rd->offset += (int64_t)p->len;
    rd->placed = !p->end;
    if (!p->len || o->output(o->arg, p->type == FRAME_STDOUT ? 1 : 2, offset, p->data, p->len) >= 0)
        return 0;
    err_set(&rd->err, ERR_UNAVAILABLE, "ended by the receiver of its output");
    return -ECANCELED;
}

static int job_sink(void *arg, const void *data, size_t len)
{
    struct job_reader *rd = arg;
    struct frame_input in = {.data = data, .len = len};
    struct frame_piece piece;
    int r;
    while ((r = frame_decode(&rd->decoder, FRAME_FROM_JOB, &in, &piece, &rd->err)) > 0) {
        r = read_piece(rd, &piece);
        if (r < 0)
            break;
    }
    if (r < 0 && r != -ECANCELED)
        r = guest_nonsense(&rd->err);
    rd->r = r;
    return r;
}

static int job_result(struct job_reader *rd, const struct link_request *rq, int r, struct err *e)
{
    if (rd->r < 0) {
        if (e)
            *e = rd->err;
        return rd->r;
    }
    r = r < 0 ? r : guest_check(rq, 200, e);
    if (r < 0)
        return r;
    if (!frame_at_boundary(&rd->decoder) || (rd->o->follow && !rd->o->ended))
        return err_set(e, ERR_UNAVAILABLE, "the agent's answer ended too early");
    return 0;
}

int guest_job_output(struct link *l, const char *id, struct guest_job_output *o, struct err *e)
{
    o->ended = false;
    auto_buf struct buf url = {0};
    char tail[64];
    snprintf(tail, sizeof(tail), "/output?offset=%" PRId64 "%s", o->offset,
             o->follow ? "&follow=1" : "");
    int r = job_url(&url, id, tail, e);
    if (r < 0)
        return r;
    struct job_reader rd = {.o = o, .text.max_bytes = AGENT_REPORT_MAX_BYTES, .err = ERR_INIT};
    struct link_request rq = {.method = "GET", .path = buf_str(&url), .sink = job_sink, .arg = &rd};
    struct link_wait w = {
        .deadline_ms = o->deadline_ms ? o->deadline_ms : INT64_MAX,
        .cancelled = o->cancelled,
        .arg = o->arg,
    };
    r = link_run(l, &rq, 1, &w, e);
    r = job_result(&rd, &rq, r, e);
    buf_done(&rd.text);
    buf_done(&rq.answer);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Programs in a guest that run to their end. */
#include <errno.h>

#include "base/limits.h"
#include "host/guest.h"
#include "host/guest_priv.h"
#include "wire/frame.h"

#define FILES_PER_WAVE (LINK_BATCH_MAX - 1)

/* The request's body: frames over memory that stays where it is. */
struct frames {
    struct iovec *v;
    size_t n;
    uint8_t (*heads)[FRAME_HEADER_BYTES];
    size_t n_heads;
};

static size_t chunks(size_t len)
{
    return len / AGENT_FRAME_MAX_BYTES + 1;
}

static int frames_init(struct frames *f, size_t spec_len, size_t stdin_len)
{
    size_t max = chunks(spec_len) + 1 + chunks(stdin_len);
    f->heads = calloc(max, sizeof(*f->heads));
    f->v = calloc(2 * max, sizeof(*f->v));
    return f->heads && f->v ? 0 : -ENOMEM;
}

static void frames_done(struct frames *f)
{
    free(f->heads);
    free(f->v);
}

static void frames_add_one(struct frames *f, enum frame_type type, const void *data, size_t len)
{
    uint8_t *head = f->heads[f->n_heads++];
    frame_header(head, type, len);
    f->v[f->n++] = (struct iovec){.iov_base = head, .iov_len = FRAME_HEADER_BYTES};
    if (len)
        f->v[f->n++] = (struct iovec){.iov_base = (void *)data, .iov_len = len};
}

static void frames_add(struct frames *f, enum frame_type type, const void *data, size_t len)
{
    const size_t max = AGENT_FRAME_MAX_BYTES;
    for (size_t at = 0; at < len; at += max)
        frames_add_one(f, type, (const char *)data + at, len - at < max ? len - at : max);
}

/* The answer: frames from a guest. */
struct exec_reader {
    struct guest_exec *x;
    struct frame_decoder decoder;
    struct buf json; /* of a P or X frame */
    struct exec_exit exit;
    bool detached; /* the answer ends after P */
    bool exited;
    int r; /* what ended it, with `err`; 0: nothing */
    struct err err;
};

static int read_json(struct exec_reader *rd, const struct frame_piece *p)
{
    if (buf_append(&rd->json, p->data, p->len) < 0)
        return err_set(&rd->err, ERR_UNAVAILABLE, "frame too large");
    if (!p->end)
        return 0;
    int64_t pid;
    int r = p->type == FRAME_EXIT
                ? exec_exit_decode(buf_str(&rd->json), rd->json.len, &rd->exit, &rd->err)
                : exec_started_decode(buf_str(&rd->json), rd->json.len, &pid, &rd->err);
    buf_clear(&rd->json);
    rd->exited = p->type == FRAME_EXIT;
    return r;
}

static int read_piece(struct exec_reader *rd, const struct frame_piece *p)
{
    struct guest_exec *x = rd->x;
    if (rd->exited)
        return err_set(&rd->err, ERR_UNAVAILABLE, "a frame after the last one");
    x->started = true;
    if (p->type == FRAME_STARTED || p->type == FRAME_EXIT)
        return read_json(rd, p);
    if (!p->len || !x->output)
        return 0;
    if (x->output(x->arg, p->type == FRAME_STDOUT ? 1 : 2, p->data, p->len) >= 0)
        return 0;
    err_set(&rd->err, ERR_UNAVAILABLE, "ended by the receiver of its output");
    return -ECANCELED;
}

static int exec_sink(void *arg, const void *data, size_t len)
{
    struct exec_reader *rd = arg;
    struct frame_input in = {.data = data, .len = len};
    struct frame_piece piece;
    int r;
    while ((r = frame_decode(&rd->decoder, FRAME_FROM_AGENT, &in, &piece, &rd->err)) > 0) {
        r = read_piece(rd, &piece);
        if (r < 0)
            break;
    }
    if (r < 0 && r != -ECANCELED)
        r = guest_nonsense(&rd->err);
    rd->r = r;
    return r;
}

/* What came of it, errors of files first. */
static int exec_result(const struct exec_reader *rd, const struct link_request *rqs, size_t n_files,
                       struct err *e)
{
    for (size_t i = 0; i < n_files; i++) {
        if (rqs[i].status && rqs[i].status != 201)
            return guest_check(&rqs[i], 201, e);
    }
    int r = guest_check(&rqs[n_files], 200, e);
    if (r < 0)
        return r;
    bool whole = rd->detached ? rd->x->started && !rd->exited : rd->exited;
    if (!whole || !frame_at_boundary(&rd->decoder))
        return err_set(e, ERR_UNAVAILABLE, "the agent's answer ended before the program did");
    return 0;
}

/* Puts the files `rqs` and then, where `rd` is given, runs the program of the request after them.
 */
static int run_wave(struct link *l, struct link_request *rqs, size_t n_files,
                    struct exec_reader *rd, struct err *e)
{
    const struct guest_exec *x = rd->x;
    struct link_wait w = {.deadline_ms = x->deadline_ms, .cancelled = x->cancelled, .arg = x->arg};
    bool last = rqs[n_files].method != NULL;
    int r = link_run(l, rqs, n_files + last, &w, e);
    if (rd->r < 0) {
        if (e)
            *e = rd->err;
        return rd->r;
    }
    if (r < 0)
        return r;
    if (last)
        return exec_result(rd, rqs, n_files, e);
    for (size_t i = 0; i < n_files && r == 0; i++)
        r = rqs[i].status ? guest_check(&rqs[i], 201, e) : 0;
    return r;
}

/* As many files at once as a batch takes; the program goes with the last of them. */
static int run_waves(struct link *l, const struct link_request *exec, struct exec_reader *rd,
                     struct err *e)
{
    const struct guest_exec *x = rd->x;
    int r = 0;
    for (size_t at = 0, n; r == 0 && at <= x->n_files; at += n + (at + n == x->n_files)) {
        struct link_request rqs[LINK_BATCH_MAX] = {0};
        struct guest_put puts[FILES_PER_WAVE] = {0};
        n = x->n_files - at < FILES_PER_WAVE ? x->n_files - at : FILES_PER_WAVE;
        for (size_t i = 0; i < n && r == 0; i++)
            r = guest_put_init(&puts[i], &x->files[at + i], &rqs[i], e);
        if (at + n == x->n_files)
            rqs[n] = *exec;
        if (r == 0)
            r = run_wave(l, rqs, n, rd, e);
        for (size_t i = 0; i < n; i++)
            buf_done(&puts[i].url);
        for (size_t i = 0; i < LINK_BATCH_MAX; i++)
            buf_done(&rqs[i].answer);
    }
    return r;
}

static int exec_run(struct link *l, struct exec_reader *rd, struct err *e)
{
    struct guest_exec *x = rd->x;
    x->started = false;
    auto_buf struct buf spec = {.max_bytes = AGENT_SPEC_MAX_BYTES};
    int r = exec_spec_encode(x->spec, &spec, e);
    if (r < 0)
        return r;
    CLEANUP(frames_done) struct frames f = {0};
    r = frames_init(&f, spec.len, x->stdin_len);
    if (r < 0)
        return err_errno(e, r, "request to the agent");
    frames_add(&f, FRAME_SPEC, spec.data, spec.len);
    frames_add_one(&f, FRAME_SPEC, NULL, 0);
    if (x->spec->has_stdin)
        frames_add(&f, FRAME_STDIN, x->stdin_data, x->stdin_len);
    rd->json.max_bytes = AGENT_FRAME_MAX_BYTES;
    struct link_request exec = {.method = "POST",
                                .path = "/v1/exec",
                                .body = f.v,
                                .n_body = f.n,
                                .hold = true,
                                .sink = exec_sink,
                                .arg = rd};
    r = run_waves(l, &exec, rd, e);
    buf_done(&rd->json);
    return r;
}

int guest_exec(struct link *l, struct guest_exec *x, struct exec_exit *ret, struct err *e)
{
    struct exec_reader rd = {.x = x, .err = ERR_INIT};
    int r = exec_run(l, &rd, e);
    if (r == 0)
        *ret = rd.exit;
    return r;
}

int guest_job_start(struct link *l, const struct exec_spec *spec, const void *stdin_data,
                    size_t stdin_len, int64_t deadline_ms, struct err *e)
{
    struct guest_exec x = {
        .spec = spec,
        .stdin_data = stdin_data,
        .stdin_len = stdin_len,
        .deadline_ms = deadline_ms,
    };
    struct exec_reader rd = {.x = &x, .detached = true, .err = ERR_INIT};
    if (!spec->job)
        return err_field(e, "job", "the job has no id");
    return exec_run(l, &rd, e);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Requests to an agent, and distrust of its answers. */
#include "host/guest.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "wire/field.h"
#include "wire/frame.h"

#define ENTROPY_BYTES 64
#define AGENT_TEXT_MAX_BYTES 300
#define FILES_PER_WAVE (LINK_BATCH_MAX - 1)

/* --- what went wrong --- */

static enum err_class class_of(int status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
    case 507:
        return ERR_TOO_LARGE;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* The agent's sentence, fit to be shown: bounded, not cut inside a character, no control bytes. */
static void agent_text(const struct buf *answer, char ret[AGENT_TEXT_MAX_BYTES + 1])
{
    auto_json json_t *obj = NULL;
    const char *text = NULL;
    if (field_parse(buf_str(answer), answer->len, &obj, NULL) == 0)
        field_str(obj, "error", FIELD_OPTIONAL, AGENT_REPORT_MAX_BYTES, &text, NULL);
    size_t n = text ? strnlen(text, AGENT_TEXT_MAX_BYTES + 1) : 0;
    if (n > AGENT_TEXT_MAX_BYTES) {
        n = AGENT_TEXT_MAX_BYTES;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    ret[n] = '\0';
}

/* 0 for the status that means success. */
static int check(const struct link_request *rq, int expected, struct err *e)
{
    if (rq->status == expected)
        return 0;
    char text[AGENT_TEXT_MAX_BYTES + 1];
    agent_text(&rq->answer, text);
    if (rq->status >= 400 && text[0])
        return err_set(e, class_of(rq->status), "%s", text);
    return err_set(e, class_of(rq->status), "the agent answered %d", rq->status);
}

/* For what a guest sent and decoding refused: the guest is to blame, not the client's request. */
static int nonsense(struct err *e)
{
    char text[AGENT_TEXT_MAX_BYTES];
    snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, e ? e->text : "");
    return err_set(e, ERR_UNAVAILABLE, "the agent's answer makes no sense: %s", text);
}

/* --- plain requests --- */

struct simple {
    const char *method;
    const char *path;
    const struct buf *body; /* NULL: none */
    const struct link_wait *wait;
    int expected;
};

/* The answer's body goes to `ret` (may be NULL), bounded by its max_bytes. */
static int simple(struct link *l, const struct simple *s, struct buf *ret, struct err *e)
{
    struct iovec v = {0};
    struct link_request rq = {.method = s->method, .path = s->path};
    if (s->body) {
        v = (struct iovec){.iov_base = s->body->data, .iov_len = s->body->len};
        rq.body = &v;
        rq.n_body = 1;
    }
    if (ret)
        rq.answer = *ret;
    int r = link_run(l, &rq, 1, s->wait, e);
    if (r == 0)
        r = check(&rq, s->expected, e);
    if (ret)
        *ret = rq.answer;
    else
        buf_done(&rq.answer);
    return r;
}

static int get_report(struct link *l, const struct simple *s, struct agent_report *ret,
                      struct err *e)
{
    auto_buf struct buf answer = {.max_bytes = AGENT_REPORT_MAX_BYTES};
    int r = simple(l, s, &answer, e);
    if (r < 0)
        return r;
    r = report_decode(buf_str(&answer), answer.len, ret, e);
    return r < 0 ? nonsense(e) : 0;
}

int guest_wait_ready(struct link *l, int64_t deadline_ms, struct agent_report *ret, struct err *e)
{
    struct agent_report report;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct simple s = {"GET", "/v1/ready", NULL, &w, 200};
    int r = get_report(l, &s, &report, e);
    if (r == 0 && ret)
        *ret = report;
    return r;
}

static int check_restored(const struct agent_report *report, int64_t told_ns, struct err *e)
{
    const int64_t slack_ns = AGENT_CLOCK_SLACK_MS * INT64_C(1000000);
    if (!report->reseeded)
        return err_set(e, ERR_UNAVAILABLE,
                       "the agent could not reseed the guest's random generator");
    if (report->real_time_ns < told_ns - slack_ns ||
        report->real_time_ns > clock_real_ns() + slack_ns)
        return err_set(e, ERR_UNAVAILABLE, "the agent could not set the guest's clock");
    return 0;
}

int guest_restored(struct link *l, const struct link_wait *w, const struct guest_identity *who,
                   struct agent_report *ret, struct err *e)
{
    /* The time is taken when the agent is there to hear it, not before it woke up. */
    int r = link_wait_open(l, w, e);
    if (r < 0)
        return r;
    struct restored_request rq = {.entropy_len = ENTROPY_BYTES};
    id_random(rq.entropy, ENTROPY_BYTES);
    auto_buf struct buf body = {0};
    rq.real_time_ns = clock_real_ns();
    r = report_restored_encode(&rq, &body);
    if (r < 0)
        return err_errno(e, r, "encode a request to the agent");
    struct agent_report report;
    struct simple s = {"POST", "/v1/restored", &body, w, 200};
    r = get_report(l, &s, &report, e);
    if (r == 0)
        r = check_restored(&report, rq.real_time_ns, e);
    if (r == 0 && ret)
        *ret = report;
    return r;
}

int guest_sync(struct link *l, int64_t deadline_ms, struct err *e)
{
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct simple s = {"POST", "/v1/sync", NULL, &w, 200};
    return simple(l, &s, NULL, e);
}

int guest_power(struct link *l, bool reboot, int64_t deadline_ms, struct err *e)
{
    auto_buf struct buf body = {0};
    int r = buf_printf(&body, "{\"action\": \"%s\"}", reboot ? "reboot" : "off");
    if (r < 0)
        return err_errno(e, r, "encode a request to the agent");
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct simple s = {"POST", "/v1/power", &body, &w, 200};
    return simple(l, &s, NULL, e);
}

/* --- files --- */

static int file_url(struct buf *b, const char *path, struct err *e)
{
    if (strnlen(path, AGENT_PATH_MAX_BYTES) == AGENT_PATH_MAX_BYTES)
        return err_field(e, "path", "the path is longer than %d bytes", AGENT_PATH_MAX_BYTES - 1);
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
    buf_append_str(b, "/v1/files?path=");
    for (const char *p = path; *p;) {
        size_t n = strspn(p, plain);
        buf_append(b, p, n);
        p += n;
        if (*p)
            buf_printf(b, "%%%02X", (unsigned char)*p++);
    }
    return b->failed ? err_errno(e, -ENOMEM, "encode a request to the agent") : 0;
}

/* A PUT ready to be sent; put_done frees. */
struct put {
    struct buf url;
    struct iovec body;
};

static int put_init(struct put *p, const struct guest_file *f, struct link_request *ret,
                    struct err *e)
{
    int r = file_url(&p->url, f->path, e);
    if (r < 0)
        return r;
    r = buf_printf(&p->url, "&mode=%04o&uid=%" PRIu32 "&gid=%" PRIu32 "&parents=1", f->mode, f->uid,
                   f->gid);
    if (r < 0)
        return err_errno(e, r, "encode a request to the agent");
    p->body = (struct iovec){.iov_base = (void *)f->data, .iov_len = f->len};
    *ret = (struct link_request){
        .method = "PUT", .path = buf_str(&p->url), .body = &p->body, .n_body = 1};
    return 0;
}

int guest_put_file(struct link *l, const struct guest_file *f, int64_t deadline_ms, struct err *e)
{
    struct put put = {0};
    struct link_request rq = {0};
    struct link_wait w = {.deadline_ms = deadline_ms};
    int r = put_init(&put, f, &rq, e);
    if (r == 0)
        r = link_run(l, &rq, 1, &w, e);
    if (r == 0)
        r = check(&rq, 201, e);
    buf_done(&put.url);
    buf_done(&rq.answer);
    return r;
}

int guest_get_file(struct link *l, const char *path, int64_t deadline_ms, struct buf *ret,
                   struct err *e)
{
    auto_buf struct buf url = {0};
    int r = file_url(&url, path, e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct simple s = {"GET", buf_str(&url), NULL, &w, 200};
    return simple(l, &s, ret, e);
}

int guest_get_file_to(struct link *l, const char *path, const struct guest_sink *sink,
                      struct err *e)
{
    auto_buf struct buf url = {0};
    int r = file_url(&url, path, e);
    if (r < 0)
        return r;
    struct link_request rq = {
        .method = "GET", .path = buf_str(&url), .sink = sink->write, .arg = sink->arg};
    struct link_wait w = {.deadline_ms = sink->deadline_ms};
    r = link_run(l, &rq, 1, &w, e);
    if (r == 0)
        r = check(&rq, 200, e);
    buf_done(&rq.answer);
    return r;
}

/* --- programs --- */

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
        r = nonsense(&rd->err);
    rd->r = r;
    return r;
}

/* What came of it, errors of files first. */
static int exec_result(const struct exec_reader *rd, const struct link_request *rqs, size_t n_files,
                       struct err *e)
{
    for (size_t i = 0; i < n_files; i++) {
        if (rqs[i].status && rqs[i].status != 201)
            return check(&rqs[i], 201, e);
    }
    int r = check(&rqs[n_files], 200, e);
    if (r < 0)
        return r;
    if (!rd->exited || !frame_at_boundary(&rd->decoder))
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
        r = rqs[i].status ? check(&rqs[i], 201, e) : 0;
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
        struct put puts[FILES_PER_WAVE] = {0};
        n = x->n_files - at < FILES_PER_WAVE ? x->n_files - at : FILES_PER_WAVE;
        for (size_t i = 0; i < n && r == 0; i++)
            r = put_init(&puts[i], &x->files[at + i], &rqs[i], e);
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

int guest_exec(struct link *l, struct guest_exec *x, struct exec_exit *ret, struct err *e)
{
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

    struct exec_reader rd = {.x = x, .json.max_bytes = AGENT_FRAME_MAX_BYTES, .err = ERR_INIT};
    struct link_request exec = {.method = "POST",
                                .path = "/v1/exec",
                                .body = f.v,
                                .n_body = f.n,
                                .hold = true,
                                .sink = exec_sink,
                                .arg = &rd};
    r = run_waves(l, &exec, &rd, e);
    buf_done(&rd.json);
    if (r == 0)
        *ret = rd.exit;
    return r;
}

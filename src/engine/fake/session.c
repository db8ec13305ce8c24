/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/session.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/fake/script.h"
#include "wire/agent_server.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/report.h"

#define OUT_HIGH_BYTES (256 * KIB)

struct request {
    struct agent_stream *stream;
    struct session *session;
    struct request *next;
    struct buf body; /* of a put, a report or an exec's spec */
    struct frame_decoder frames;
    struct script *script; /* exec, once its spec is complete */
    bool is_exec;
    bool is_over; /* answered with an error: the rest of the body is passed over */
};

struct session {
    struct files *files;
    enum session_fault fault;
    struct hello_server hello;
    struct agent_server *server; /* NULL: before HTTP/2 */
    struct buf lines;            /* hello answers not sent yet */
    struct request *requests;
    int64_t clock_step_ms;
    bool reseeded;
    bool wants_death;
};

enum session_fault session_fault_parse(const char *word)
{
    static const struct {
        const char *word;
        enum session_fault fault;
    } rows[] = {
        {"agent-never", SESSION_FAULT_NEVER},     {"agent-garbage", SESSION_FAULT_GARBAGE},
        {"agent-refuse", SESSION_FAULT_REFUSE},   {"exec-reset", SESSION_FAULT_EXEC_RESET},
        {"exec-hang", SESSION_FAULT_EXEC_HANG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].fault;
    return SESSION_FAULT_NONE;
}

static void answer(struct request *rq, int status, const void *body, size_t len)
{
    (void)agent_server_respond(rq->stream, status, "application/json", body, len);
    rq->is_over = true;
}

static void refuse(struct request *rq, const struct err *e)
{
    json_t *j = json_pack("{s:s}", "error", e->text);
    if (j && e->field[0])
        json_object_set_new(j, "field", json_string(e->field));
    auto_free char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    answer(rq, err_http_status(e->class), text ? text : "{}", text ? strlen(text) : 2);
}

/* --- Requests --- */

static void report(struct request *rq)
{
    const struct session *s = rq->session;
    unsigned char random[16];
    struct agent_report r = {.version = HOLM_VERSION,
                             .protocol = REPORT_PROTOCOL,
                             .boot_id = "00000000-0000-4000-8000-000000000000",
                             .uptime_ms = clock_mono_ms(),
                             .real_time_ns = clock_real_ns(),
                             .init = REPORT_INIT_AGENT,
                             .clock_step_ms = s->clock_step_ms,
                             .reseeded = s->reseeded};
    id_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(r.random + 2 * i, 3, "%02x", random[i]);
    auto_buf struct buf text = {0};
    if (report_encode(&r, &text) < 0)
        agent_server_abort(rq->stream);
    else
        answer(rq, 200, text.data, text.len);
}

static void restored(struct request *rq)
{
    struct restored_request body;
    struct err e = ERR_INIT;
    if (report_restored_decode(buf_str(&rq->body), rq->body.len, &body, &e) < 0) {
        refuse(rq, &e);
        return;
    }
    rq->session->clock_step_ms = (body.real_time_ns - clock_real_ns()) / 1000000;
    rq->session->reseeded = true;
    report(rq);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The percent-decoded "path" of a query. */
static bool query_path(const char *query, char ret[AGENT_PATH_MAX_BYTES])
{
    const char *p = strstr(query, "path=");
    size_t n = 0;
    for (p = p ? p + 5 : ""; *p && *p != '&' && n + 1 < AGENT_PATH_MAX_BYTES; n++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        ret[n] = low >= 0 ? (char)(high * 16 + low) : *p;
        p += low >= 0 ? 3 : 1;
    }
    ret[n] = '\0';
    return ret[0] == '/' && strlen(ret) == n;
}

static void put_file(struct request *rq)
{
    char path[AGENT_PATH_MAX_BYTES];
    struct err e = ERR_INIT;
    int r = query_path(rq->stream->query, path)
                ? files_put(rq->session->files, path, buf_str(&rq->body), rq->body.len, &e)
                : err_field(&e, "path", "path must be an absolute path");
    if (r < 0)
        refuse(rq, &e);
    else
        answer(rq, 201, "", 0);
}

static void get_file(struct request *rq)
{
    char path[AGENT_PATH_MAX_BYTES];
    struct err e = ERR_INIT;
    size_t len = 0;
    const char *data = query_path(rq->stream->query, path)
                           ? files_find(rq->session->files, path, &len)
                           : NULL;
    if (data) {
        answer(rq, 200, data, len);
    } else {
        err_set(&e, ERR_NOT_FOUND, "there is no such file");
        refuse(rq, &e);
    }
}

static void done(struct request *rq)
{
    answer(rq, 200, "{}", 2);
}

static void power(struct request *rq)
{
    done(rq);
    rq->session->wants_death = true;
}

/* --- Exec --- */

static ssize_t pull_script(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct request *rq = st->data;
    ssize_t n = script_pull(rq->script, buf, size);
    if (n == 0)
        script_advance(rq->script, clock_mono_us()); /* a flood's end lets the program go on */
    if (n == 0)
        n = script_pull(rq->script, buf, size);
    return n < 0 ? AGENT_PULL_END : n;
}

static void start_script(struct request *rq)
{
    struct exec_spec spec = {0};
    struct err e = ERR_INIT;
    if (exec_spec_decode(buf_str(&rq->body), rq->body.len, &spec, &e) < 0) {
        refuse(rq, &e);
        return;
    }
    if (rq->session->fault == SESSION_FAULT_EXEC_RESET ||
        script_new(rq->session->files, &spec, clock_mono_us(), &rq->script) < 0) {
        exec_spec_done(&spec);
        rq->is_over = true;
        agent_server_abort(rq->stream);
        return;
    }
    if (rq->session->fault == SESSION_FAULT_EXEC_HANG)
        return;
    (void)agent_server_respond_pull(rq->stream, 200, "application/octet-stream", pull_script);
}

/* Returns 0, or negative: the request is over. */
static int take_piece(struct request *rq, const struct frame_piece *piece)
{
    if (piece->type == FRAME_SPEC && !rq->script) {
        if (piece->frame_len == 0)
            start_script(rq);
        else if (buf_append(&rq->body, piece->data, piece->len) < 0)
            return -E2BIG;
    } else if (piece->type == FRAME_STDIN && rq->script) {
        return script_stdin(rq->script, piece->data, piece->len);
    } else if (piece->type == FRAME_SIGNAL && rq->script && piece->len == FRAME_SIGNAL_BYTES) {
        script_signal(rq->script, piece->data[0] << 8 | piece->data[1]);
    }
    return 0;
}

static void exec_input(struct request *rq, const uint8_t *data, size_t len)
{
    struct frame_input in = {.data = data, .len = len};
    struct frame_piece piece;
    struct err e = ERR_INIT;
    int r = 1;
    while (!rq->is_over && (r = frame_decode(&rq->frames, FRAME_FROM_CLIENT, &in, &piece, &e)) == 1)
        if (take_piece(rq, &piece) < 0)
            r = err_set(&e, ERR_TOO_LARGE, "the request is too large");
    if (!rq->is_over && r < 0)
        refuse(rq, &e);
}

/* --- From HTTP/2 --- */

static const struct {
    const char *method;
    const char *path;
    void (*run)(struct request *rq); /* NULL: exec */
} routes[] = {
    {"GET", "/v1/ready", report},   {"POST", "/v1/restored", restored}, {"POST", "/v1/exec", NULL},
    {"PUT", "/v1/files", put_file}, {"GET", "/v1/files", get_file},     {"POST", "/v1/sync", done},
    {"POST", "/v1/power", power},
};

static int find_route(const struct agent_stream *st)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
        if (strcmp(routes[i].method, st->method) == 0 && strcmp(routes[i].path, st->path) == 0)
            return (int)i;
    return -1;
}

static void on_request(struct agent_stream *st)
{
    struct request *rq = calloc(1, sizeof(*rq));
    struct session *s = agent_server_owner(st->server);
    struct err e = ERR_INIT;
    if (!rq) {
        agent_server_abort(st);
        return;
    }
    *rq = (struct request){.stream = st, .session = s, .next = s->requests};
    s->requests = rq;
    st->data = rq;
    int route = find_route(st);
    rq->is_exec = route >= 0 && !routes[route].run;
    rq->body.max_bytes = rq->is_exec ? AGENT_SPEC_MAX_BYTES : FILES_BYTES_MAX;
    if (s->fault == SESSION_FAULT_REFUSE)
        err_set(&e, ERR_INTERNAL, "a fault on order");
    else if (route < 0)
        err_set(&e, ERR_NOT_FOUND, "no such path: %.200s", st->path);
    if (e.class)
        refuse(rq, &e);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct request *rq = st->data;
    struct err e = ERR_INIT;
    agent_server_consume(st, len);
    if (!rq || rq->is_over)
        return;
    if (rq->is_exec) {
        exec_input(rq, data, len);
    } else if (buf_append(&rq->body, data, len) < 0) {
        err_set(&e, ERR_TOO_LARGE, "the body is too large");
        refuse(rq, &e);
    }
}

static void on_body_end(struct agent_stream *st)
{
    struct request *rq = st->data;
    if (!rq || rq->is_over)
        return;
    if (rq->script)
        script_stdin_end(rq->script);
    else if (!rq->is_exec)
        routes[find_route(st)].run(rq);
}

static void on_closed(struct agent_stream *st)
{
    struct request *rq = st->data;
    if (!rq)
        return;
    struct request **p = &rq->session->requests;
    while (*p != rq)
        p = &(*p)->next;
    *p = rq->next;
    script_free(rq->script);
    buf_done(&rq->body);
    free(rq);
}

static const struct agent_server_ops server_ops = {
    .request = on_request, .body = on_body, .body_end = on_body_end, .closed = on_closed};

/* --- The connection --- */

int session_new(struct files *files, enum session_fault fault, struct session **ret)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct session){.files = files, .fault = fault, .hello.preface_allowed = true};
    *ret = s;
    return 0;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    agent_server_free(s->server);
    buf_done(&s->lines);
    free(s);
}

static int input_hello(struct session *s, const char *data, size_t len, size_t *used)
{
    char line[HELLO_LINE_SIZE];
    switch (hello_server_feed(&s->hello, data, len, used)) {
    case HELLO_MORE:
        return 0;
    case HELLO_LINE:
        hello_line(s->hello.scan.nonce, line);
        return buf_append_str(&s->lines, line);
    case HELLO_SESSION:
        break;
    }
    int r = agent_server_new(&server_ops, s, &s->server);
    return r < 0 ? r : agent_server_feed(s->server, HELLO_PREFACE, HELLO_PREFACE_LEN);
}

int session_input(struct session *s, const void *data, size_t len)
{
    const char *p = data;
    if (s->fault == SESSION_FAULT_NEVER)
        return 0;
    if (s->fault == SESSION_FAULT_GARBAGE)
        /* First a right answer to the hello, so that the garbage is met as HTTP/2. */
        return s->server ? buf_append(&s->lines, "\x93gArBaGe\x00\xff\x17not http at all", 24)
                         : input_hello(s, p, len, &(size_t){0});
    while (len) {
        size_t used = len;
        int r = s->server ? agent_server_feed(s->server, p, len) : input_hello(s, p, len, &used);
        if (r < 0)
            return r;
        p += used;
        len -= used;
    }
    return 0;
}

int session_advance(struct session *s)
{
    int64_t now_us = clock_mono_us(), wake_us = INT64_MAX;
    for (struct request *rq = s->requests; rq; rq = rq->next) {
        if (!rq->script || rq->is_over || s->fault == SESSION_FAULT_EXEC_HANG)
            continue;
        script_advance(rq->script, now_us);
        s->wants_death |= script_wants_death(rq->script);
        int64_t wake = script_wake_us(rq->script);
        wake_us = wake < wake_us ? wake : wake_us;
        agent_server_resume(rq->stream);
    }
    if (wake_us == INT64_MAX)
        return -1;
    int64_t left_ms = (wake_us - now_us + 999) / 1000;
    return left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

int session_output(struct session *s, struct buf *out)
{
    if (s->lines.len && buf_append(out, s->lines.data, s->lines.len) < 0)
        return -ENOMEM;
    buf_clear(&s->lines);
    return s->server && s->fault != SESSION_FAULT_GARBAGE
               ? agent_server_pull(s->server, out, OUT_HIGH_BYTES)
               : 0;
}

bool session_wants_death(const struct session *s)
{
    return s->wants_death;
}

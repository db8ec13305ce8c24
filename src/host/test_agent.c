/* SPDX-License-Identifier: Apache-2.0 */
#include "host/test_agent.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "wire/agent_server.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/report.h"

struct file {
    char path[128]; /* as in the URL */
    struct buf data;
};

/* All of it belongs to the agent's thread. */
struct session {
    struct test_agent *agent;
    struct agent_server *server;
    struct file files[TEST_AGENT_FILES_MAX];
    size_t n_files;
    int hellos;
    bool restored;
    bool die;
};

struct request {
    struct session *session;
    struct buf body;
    /* exec */
    bool exec;
    struct frame_decoder decoder;
    struct buf spec_json;
    bool spec_done;
    struct exec_spec spec;
    struct buf out;
    size_t flood_left;
    bool out_ended;
    bool answered;
    int port; /* accept; 0: another request */
};

static const char *path_of(const struct agent_stream *st)
{
    return strncmp(st->query, "path=", 5) == 0 ? st->query + 5 : "";
}

static struct file *file_find(struct session *s, const char *path)
{
    size_t len = strcspn(path, "&");
    for (size_t i = 0; i < s->n_files; i++) {
        if (strlen(s->files[i].path) == len && strncmp(s->files[i].path, path, len) == 0)
            return &s->files[i];
    }
    return NULL;
}

static void file_put(struct session *s, const char *path, struct buf *data)
{
    struct file *f = file_find(s, path);
    if (!f) {
        assert(s->n_files < TEST_AGENT_FILES_MAX);
        f = &s->files[s->n_files++];
        snprintf(f->path, sizeof(f->path), "%.*s", (int)strcspn(path, "&"), path);
    }
    buf_done(&f->data);
    f->data = *data;
    *data = (struct buf){0};
    s->agent->files++;
}

static void report(struct agent_stream *st, struct session *s)
{
    const struct test_agent_options *o = &s->agent->options;
    if (o->bad_report) {
        agent_server_respond(st, 200, "application/json", o->bad_report, strlen(o->bad_report));
        return;
    }
    struct agent_report r = {
        .version = "test",
        .protocol = REPORT_PROTOCOL,
        .boot_id = "00000000-0000-0000-0000-000000000000",
        .uptime_ms = 1,
        .real_time_ns = clock_real_ns() + (s->restored ? o->clock_off_ns : 0),
        .reseeded = s->restored && !o->no_reseed,
        .random = "00112233445566778899aabbccddeeff",
    };
    auto_buf struct buf b = {0};
    report_encode(&r, &b);
    agent_server_respond(st, 200, "application/json", b.data, b.len);
}

/* --- exec --- */

static void put_frame(struct request *rq, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, len);
    buf_append(&rq->out, head, sizeof(head));
    buf_append(&rq->out, data, len);
}

static void put_exit(struct request *rq, int code)
{
    auto_buf struct buf b = {0};
    exec_exit_encode(&(struct exec_exit){.code = code, .wall_us = 5}, &b);
    put_frame(rq, FRAME_EXIT, b.data, b.len);
    rq->out_ended = true;
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct request *rq = st->data;
    if (!rq->out.len && rq->flood_left) {
        static const char block[AGENT_FRAME_MAX_BYTES];
        size_t n = rq->flood_left < sizeof(block) ? rq->flood_left : sizeof(block);
        put_frame(rq, FRAME_STDOUT, block, n);
        rq->flood_left -= n;
        if (!rq->flood_left)
            put_exit(rq, 0);
    }
    if (!rq->out.len) {
        rq->answered = rq->out_ended;
        return rq->out_ended ? AGENT_PULL_END : AGENT_PULL_LATER;
    }
    size_t n = rq->out.len < size ? rq->out.len : size;
    memcpy(buf, rq->out.data, n);
    buf_consume(&rq->out, n);
    return (ssize_t)n;
}

static void exec_hello(struct agent_stream *st, struct request *rq)
{
    put_frame(rq, FRAME_STDOUT, "out1", 4);
    put_frame(rq, FRAME_STDERR, "err", 3);
    put_frame(rq, FRAME_STDOUT, "out2", 4);
    put_exit(rq, 0);
}

static void exec_exit_with(struct agent_stream *st, struct request *rq)
{
    put_exit(rq, atoi(rq->spec.argv[1]));
}

static void exec_cat(struct agent_stream *st, struct request *rq)
{
}

static void exec_read(struct agent_stream *st, struct request *rq)
{
    struct file *f = file_find(rq->session, rq->spec.argv[1]);
    for (size_t at = 0; f && at < f->data.len; at += AGENT_FRAME_MAX_BYTES) {
        size_t n = f->data.len - at;
        put_frame(rq, FRAME_STDOUT, f->data.data + at,
                  n < AGENT_FRAME_MAX_BYTES ? n : AGENT_FRAME_MAX_BYTES);
    }
    put_exit(rq, f ? 0 : 1);
}

static void exec_flood(struct agent_stream *st, struct request *rq)
{
    rq->flood_left = (size_t)atoi(rq->spec.argv[1]) * MIB;
}

static void exec_hang(struct agent_stream *st, struct request *rq)
{
    put_frame(rq, FRAME_STDOUT, "begun", 5);
}

static void exec_die(struct agent_stream *st, struct request *rq)
{
    exec_hang(st, rq);
    rq->session->die = true;
}

static void exec_vanish(struct agent_stream *st, struct request *rq)
{
    rq->out_ended = true;
}

static void exec_garbage(struct agent_stream *st, struct request *rq)
{
    put_frame(rq, '!', "what", 4);
}

static void exec_after(struct agent_stream *st, struct request *rq)
{
    put_exit(rq, 0);
    put_frame(rq, FRAME_STDOUT, "late", 4);
}

static const struct {
    const char *name;
    void (*run)(struct agent_stream *st, struct request *rq);
} programs[] = {
    {"hello", exec_hello},     {"exit", exec_exit_with}, {"cat", exec_cat}, {"read", exec_read},
    {"flood", exec_flood},     {"hang", exec_hang},      {"die", exec_die}, {"vanish", exec_vanish},
    {"garbage", exec_garbage}, {"after", exec_after},
};

static void exec_start(struct agent_stream *st, struct request *rq)
{
    rq->spec_done = true;
    struct err e = ERR_INIT;
    int r = exec_spec_decode(buf_str(&rq->spec_json), rq->spec_json.len, &rq->spec, &e);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(programs); i++) {
        if (strcmp(programs[i].name, rq->spec.argv[0]) != 0)
            continue;
        auto_buf struct buf b = {0};
        exec_started_encode(1, &b);
        put_frame(rq, FRAME_STARTED, b.data, b.len);
        programs[i].run(st, rq);
        agent_server_respond_pull(st, 200, "application/octet-stream", pull);
        return;
    }
    static const char text[] = "{\"error\": \"no \\u001b[31msuch program\"}";
    rq->answered = true;
    agent_server_respond(st, 404, "application/json", text, sizeof(text) - 1);
}

static void exec_input(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct request *rq = st->data;
    struct frame_input in = {data, len};
    struct frame_piece p;
    while (frame_decode(&rq->decoder, FRAME_FROM_CLIENT, &in, &p, NULL) > 0) {
        if (p.type == FRAME_SPEC)
            buf_append(&rq->spec_json, p.data, p.len);
        if (p.type == FRAME_SPEC && p.frame_len == 0)
            exec_start(st, rq);
        if (p.type == FRAME_STDIN && rq->spec_done && strcmp(rq->spec.argv[0], "cat") == 0)
            put_frame(rq, FRAME_STDOUT, p.data, p.len);
    }
    agent_server_resume(st);
}

/* --- accept --- */

static void accept_begin(struct agent_stream *st, struct request *rq)
{
    const char *port = strstr(st->query, "port=");
    rq->port = port ? atoi(port + 5) : 0;
    rq->answered = true;
    st->duplex = true;
    if (rq->port == 2)
        agent_server_respond(st, 200, "application/octet-stream", "bye", 3);
    else if (rq->port == 1)
        agent_server_respond_pull(st, 200, "application/octet-stream", pull);
}

static void accept_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct request *rq = st->data;
    if (rq->port == 2)
        rq->session->agent->heard += (int64_t)len;
    if (rq->port == 1)
        buf_append(&rq->out, data, len);
    agent_server_resume(st);
}

static void accept_end(struct agent_stream *st)
{
    struct request *rq = st->data;
    rq->session->agent->heard_to_end += rq->port == 2;
    rq->out_ended = true;
    agent_server_resume(st);
}

/* --- the server's callbacks --- */

static bool answer(struct agent_stream *st, const struct test_agent_answer *a, int n_requests)
{
    for (; a && a->method; a++) {
        bool is_over = a->until_request && n_requests > a->until_request;
        if (is_over || strcmp(a->method, st->method) != 0 ||
            strncmp(a->path, st->path, strlen(a->path)) != 0)
            continue;
        agent_server_respond(st, a->status, "application/json", a->text,
                             a->len ? a->len : strlen(a->text));
        return true;
    }
    return false;
}

static void on_request(struct agent_stream *st)
{
    struct session *s = agent_server_owner(st->server);
    struct request *rq = calloc(1, sizeof(*rq));
    assert(rq);
    rq->session = s;
    st->data = rq;
    rq->exec = strcmp(st->path, "/v1/exec") == 0;
    int n_requests = ++s->agent->requests;
    if (answer(st, s->agent->options.answers, n_requests))
        rq->answered = true;
    else if (strcmp(st->path, "/v1/accept") == 0)
        accept_begin(st, rq);
    else if (strcmp(st->path, "/v1/reset") == 0)
        agent_server_abort(st);
    else if (strcmp(st->path, "/v1/ready") == 0)
        report(st, s);
    else if (strcmp(st->path, "/v1/sync") == 0)
        agent_server_respond(st, 200, "application/json", "{}", 2);
    else if (strcmp(st->path, "/v1/mute") != 0 && strcmp(st->method, "GET") == 0) {
        struct file *f = file_find(s, path_of(st));
        agent_server_respond(st, f ? 200 : 404, "text/plain", f ? buf_str(&f->data) : "not JSON",
                             f ? f->data.len : 8);
    }
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct request *rq = st->data;
    if (rq->exec && !rq->answered)
        exec_input(st, data, len);
    else if (rq->port)
        accept_body(st, data, len);
    else
        buf_append(&rq->body, data, len);
    agent_server_consume(st, len);
}

static void put_end(struct agent_stream *st, struct request *rq)
{
    const char *path = path_of(st);
    static const char full[] = "{\"error\": \"no space left\"}";
    if (strstr(path, "mute"))
        return;
    if (strstr(path, "full")) {
        agent_server_respond(st, 507, "application/json", full, sizeof(full) - 1);
        return;
    }
    file_put(rq->session, path, &rq->body);
    agent_server_respond(st, 201, "text/plain", "", 0);
}

static void on_body_end(struct agent_stream *st)
{
    struct request *rq = st->data;
    if (rq->port)
        accept_end(st);
    if (rq->answered)
        return;
    if (strcmp(st->method, "PUT") == 0)
        put_end(st, rq);
    if (strcmp(st->path, "/v1/power") == 0)
        agent_server_respond(st, 200, "application/json", buf_str(&rq->body), rq->body.len);
    if (strcmp(st->path, "/v1/restored") == 0) {
        struct restored_request r;
        rq->session->restored =
            report_restored_decode(buf_str(&rq->body), rq->body.len, &r, NULL) == 0;
        report(st, rq->session);
    }
    if (rq->exec && rq->spec_done && rq->spec.argv && strcmp(rq->spec.argv[0], "cat") == 0) {
        put_exit(rq, 0);
        agent_server_resume(st);
    }
}

static void on_closed(struct agent_stream *st)
{
    struct request *rq = st->data;
    if (rq->exec && !rq->answered)
        rq->session->agent->killed++;
    buf_done(&rq->body);
    buf_done(&rq->spec_json);
    buf_done(&rq->out);
    if (rq->spec.argv)
        exec_spec_done(&rq->spec);
    free(rq);
}

static const struct agent_server_ops ops = {on_request, on_body, on_body_end, on_closed};

/* --- the thread --- */

static int write_out(struct session *s)
{
    for (;;) {
        auto_buf struct buf out = {0};
        if (agent_server_pull(s->server, &out, 256 * KIB) < 0)
            return -EPROTO;
        if (!out.len)
            return s->die ? -ESHUTDOWN : 0;
        int r = fd_write_all(s->agent->fd, out.data, out.len);
        if (r < 0)
            return r;
    }
}

static int hello(struct session *s, struct hello_server *h, const char **p, size_t *len)
{
    while (*len) {
        size_t used;
        enum hello_event ev = hello_server_feed(h, *p, *len, &used);
        *p += used;
        *len -= used;
        if (ev == HELLO_SESSION)
            return agent_server_feed(s->server, HELLO_PREFACE, HELLO_PREFACE_LEN) < 0 ? -EPROTO : 1;
        if (ev != HELLO_LINE)
            continue;
        char line[HELLO_LINE_SIZE];
        hello_line(h->scan.nonce, line);
        int deaf = s->agent->options.deaf_hellos;
        if (s->hellos++ < deaf)
            continue;
        int r = 0;
        for (int i = s->hellos == deaf + 1 ? deaf : 0; i >= 0 && r == 0; i--)
            r = fd_write_all(s->agent->fd, line, HELLO_LINE_LEN);
        if (r < 0)
            return r;
    }
    return 0;
}

static void serve(struct session *s)
{
    struct hello_server h = {0};
    bool open = false;
    static _Thread_local char in[64 * 1024];
    for (;;) {
        ssize_t n = recv(s->agent->fd, in, sizeof(in), 0);
        if (n <= 0)
            return;
        const char *p = in;
        size_t len = (size_t)n;
        int r = open ? 0 : hello(s, &h, &p, &len);
        open |= r > 0;
        if (r < 0 || (open && len && agent_server_feed(s->server, p, len) < 0))
            return;
        if (open && write_out(s) < 0)
            return;
    }
}

static void *agent_main(void *arg)
{
    struct test_agent *a = arg;
    struct session *s = calloc(1, sizeof(*s));
    assert(s);
    s->agent = a;
    int r = agent_server_new(&ops, s, &s->server);
    assert(r == 0);
    if (r == 0 && fd_write_all(a->fd, a->options.before, a->options.before_len) == 0)
        serve(s);
    agent_server_free(s->server);
    for (size_t i = 0; i < s->n_files; i++)
        buf_done(&s->files[i].data);
    free(s);
    shutdown(a->fd, SHUT_RDWR);
    return NULL;
}

int test_agent_start(struct test_agent *a, const struct test_agent_options *options)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon and the agent do: the other side may be gone */
    int fds[2];
    *a = (struct test_agent){0};
    if (options)
        a->options = *options;
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    assert(r == 0);
    a->fd = fds[0];
    r = pthread_create(&a->thread, NULL, agent_main, a);
    assert(r == 0);
    return r == 0 ? fds[1] : -1;
}

void test_agent_stop(struct test_agent *a)
{
    shutdown(a->fd, SHUT_RDWR);
    pthread_join(a->thread, NULL);
    close(a->fd);
}

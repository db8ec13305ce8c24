/* SPDX-License-Identifier: Apache-2.0 */

/* Consoles and terminals. Browsers cannot send a key with a WebSocket, so a token is made first:
 * random, good once and for CONSOLE_TOKEN_S, bound to what it was made for. Tokens are in memory
 * only: a daemon that starts anew knows none, and their time is over soon anyway.
 *
 * A session has two threads: the connection's takes what the client types to the VM, one of its
 * own takes what the VM says to the client. Whichever ends first makes the other one end: a closed
 * socket by shutting down the stream, an ended stream by closing the socket. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/native/native.h"
#include "api/text.h"
#include "api/websocket.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "host/vms_guest.h"

/* ---- tokens ---- */

enum kind { KIND_SHELL, KIND_SERIAL };

/* What a token is for. */
struct ticket {
    struct ticket *next;
    char token[2 * ID_SIZE];
    int64_t expires_ms;
    char account[ID_SIZE], vm[ID_SIZE];
    enum kind kind;
    struct input input; /* the request's body, which the command is in; may be empty */
};

/* Oldest first, so the expired ones are at the front. */
static struct {
    pthread_mutex_t lock;
    struct ticket *first, **end;
    int n;
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = &tickets.first};

static void ticket_free(struct ticket *t)
{
    if (!t)
        return;
    input_done(&t->input);
    free(t);
}

DEFINE_AUTO(struct ticket *, ticket_free)

/* Lock held. */
static void unlink_ticket(struct ticket **at)
{
    struct ticket *t = *at;
    *at = t->next;
    if (!*at)
        tickets.end = at;
    tickets.n--;
}

/* Takes the expired ones out; the caller frees the list. Lock held. */
static struct ticket *take_expired(int64_t now_ms)
{
    struct ticket *expired = NULL;
    while (tickets.first && tickets.first->expires_ms <= now_ms) {
        struct ticket *t = tickets.first;
        unlink_ticket(&tickets.first);
        t->next = expired;
        expired = t;
    }
    return expired;
}

static void free_all(struct ticket *list)
{
    while (list) {
        struct ticket *next = list->next;
        ticket_free(list);
        list = next;
    }
}

/* Takes `t`. */
static int add_ticket(struct ticket *t, struct err *e)
{
    CLEANUP(ticket_freep) struct ticket *mine = t;
    struct ticket *expired;
    {
        AUTO_LOCK(&tickets.lock);
        expired = take_expired(clock_mono_ms());
        if (tickets.n < CONSOLE_TOKENS_MAX) {
            mine->next = NULL;
            *tickets.end = mine;
            tickets.end = &mine->next;
            tickets.n++;
            mine = NULL;
        }
    }
    free_all(expired);
    if (!mine)
        return 0;
    err_set(e, ERR_FULL, "too many console tokens wait to be used");
    if (e)
        e->retry_after_s = CONSOLE_TOKEN_S;
    return -EAGAIN;
}

/* The ticket of a token, once. Which one it is, is found in a time that tells nothing useful: a
 * token is random and good for a minute. */
static int take_ticket(const char *token, const char *vm, struct ticket **ret, struct err *e)
{
    struct ticket *expired, *found = NULL;
    {
        AUTO_LOCK(&tickets.lock);
        expired = take_expired(clock_mono_ms());
        for (struct ticket **at = &tickets.first; *at; at = &(*at)->next) {
            if (strcmp((*at)->token, token) == 0 && strcmp((*at)->vm, vm) == 0) {
                found = *at;
                unlink_ticket(at);
                break;
            }
        }
    }
    free_all(expired);
    if (!found)
        return err_set(e, ERR_UNAUTHORIZED,
                       "the console token is not valid, was used, or is older than %d s",
                       CONSOLE_TOKEN_S);
    *ret = found;
    return 0;
}

/* ---- POST /v1/vms/{id}/console-token ---- */

struct token_input {
    int kind;
    struct field_texts command;
    struct field_text user;
};

static const char *const kinds[] = {
    [KIND_SHELL] = "shell", [KIND_SERIAL] = "serial", [KIND_SERIAL + 1] = NULL};

static const struct field token_request[] = {
    {"kind", FIELD_CHOICE, 0, offsetof(struct token_input, kind), .choices = kinds,
     .doc = "A terminal of its own, or the serial console"},
    {"command", FIELD_TEXTS, 0, offsetof(struct token_input, command), .max = AGENT_EXEC_ARGS_MAX,
     .max_bytes = EXEC_ARGS_MAX_BYTES, .doc = "What runs in it; the login shell when missing"},
    {"user", FIELD_TEXT, 0, offsetof(struct token_input, user), .min = 1, .max_bytes = 256,
     .doc = "A user's name, or \"uid:gid\"; root when missing"},
    {0},
};

static json_t *token_json(const struct ticket *t)
{
    char uuid[UUID_SIZE], path[128];
    uuid_from_id(t->vm, uuid);
    snprintf(path, sizeof(path), "/v1/vms/%s/console/ws", uuid);
    return json_pack("{s:s, s:i, s:s}", "token", t->token, "expiresInSec", CONSOLE_TOKEN_S,
                     "websocketPath", path);
}

static int make_token(struct request *rq, struct answer *ret, struct err *e)
{
    const struct token_input *in = rq->input.data;
    struct vm_info v = {0};
    CLEANUP(ticket_freep) struct ticket *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(e, -ENOMEM, "make a console token");
    int r = native_vm(rq, t->vm, e);
    if (r == 0 && in->command.n && !in->command.items[0][0])
        r = err_field(e, "command[0]", "field \"command[0]\" must not be empty");
    if (r == 0)
        r = host_vm_get(rq->host, rq->account, t->vm, &v, e);
    if (r < 0)
        return r;
    vm_info_done(&v);
    memcpy(t->account, rq->account, sizeof(t->account));
    id_new(t->token);
    id_new(t->token + ID_LEN);
    t->expires_ms = clock_mono_ms() + CONSOLE_TOKEN_S * 1000;
    t->kind = (enum kind)in->kind;
    t->input = rq->input;
    rq->input = (struct input){0};
    ret->json = token_json(t);
    r = ret->json ? 0 : -ENOMEM;
    return r < 0 ? r : add_ticket(TAKE_PTR(t), e);
}

static const struct field token_fields[] = {
    {"token", FIELD_TEXT, FIELD_REQUIRED, .doc = "Good for one session"},
    {"expiresInSec", FIELD_INTEGER, FIELD_REQUIRED, .doc = "When it must have been used"},
    {"websocketPath", FIELD_TEXT, FIELD_REQUIRED, .doc = "Connect to it with ?session=TOKEN"},
    {0},
};

/* ---- GET /v1/vms/{id}/console/ws ---- */

struct session {
    struct vm_stream *stream;
    struct websocket *ws; /* while it runs */
    bool is_terminal;
};

struct resize_message {
    struct field_text type;
    int64_t cols, rows;
};

static const struct field resize_fields[] = {
    {"type", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct resize_message, type)},
    {"cols", FIELD_INTEGER, FIELD_REQUIRED, offsetof(struct resize_message, cols), .min = 1,
     .max = CONSOLE_SIZE_MAX},
    {"rows", FIELD_INTEGER, FIELD_REQUIRED, offsetof(struct resize_message, rows), .min = 1,
     .max = CONSOLE_SIZE_MAX},
    {0},
};

/* Text may be typed text that begins with a brace: only what is exactly a resize is one. */
static bool parse_resize(const struct websocket_message *m, struct resize_message *ret)
{
    if (!m->is_text || m->len > 256 || m->data[0] != '{')
        return false;
    json_t *json = NULL;
    struct err e = ERR_INIT;
    bool ok = decode_json(m->data, m->len, &json, &e) == 0 &&
              decode_fields(json, resize_fields, ret, &e) == 0 &&
              strcmp(ret->type.data, "resize") == 0;
    json_decref(json);
    return ok;
}

/* The client's side ends in a close of the socket, which makes both threads end. */
static void *to_client(void *arg)
{
    struct session *s = arg;
    auto_free char *piece = malloc(CONSOLE_PIECE_BYTES);
    struct err e = ERR_INIT;
    ssize_t n = piece ? 1 : -ENOMEM;
    while (n > 0) {
        n = vm_stream_read(s->stream, piece, CONSOLE_PIECE_BYTES, &e);
        if (n > 0 && websocket_send_binary(s->ws, piece, (size_t)n) < 0)
            n = -EPIPE;
    }
    struct exec_exit x = {0};
    char reason[32] = "";
    if (n == 0 && s->is_terminal) {
        vm_stream_exit(s->stream, &x);
        snprintf(reason, sizeof(reason), "exit %d", x.code);
    }
    websocket_close(s->ws, n == 0 ? WEBSOCKET_NORMAL : WEBSOCKET_GOING_AWAY,
                    n == 0 ? reason : e.text);
    return NULL;
}

static void from_client(struct session *s)
{
    struct websocket_message m;
    while (websocket_read(s->ws, &m)) {
        struct err e = ERR_INIT;
        struct resize_message size = {0};
        int r = 0;
        if (parse_resize(&m, &size))
            r = vm_stream_resize(s->stream, (int)size.rows, (int)size.cols, &e);
        else if (m.len)
            r = vm_stream_write(s->stream, m.data, m.len, &e);
        /* After its end a terminal takes nothing more; what it said last is still on its way. */
        if (r < 0)
            continue;
    }
}

static void run_session(void *arg, struct websocket *ws)
{
    struct session *s = arg;
    pthread_t thread;
    s->ws = ws;
    if (pthread_create(&thread, NULL, to_client, s) != 0) {
        websocket_close(ws, WEBSOCKET_INTERNAL, "no thread");
        return;
    }
    from_client(s);
    vm_stream_shutdown(s->stream);
    pthread_join(thread, NULL);
}

static void stop_session(void *arg)
{
    struct session *s = arg;
    vm_stream_shutdown(s->stream);
}

static void free_session(void *arg)
{
    struct session *s = arg;
    vm_stream_free(s->stream);
    free(s);
}

static int open_terminal(struct host *h, const struct ticket *t, struct session *s, struct err *e)
{
    const struct token_input *in = t->input.data;
    const struct vm_terminal term = {
        .argv = in->command.items,
        .n_argv = in->command.n,
        .user = in->user.data,
        .rows = CONSOLE_ROWS_DEFAULT,
        .cols = CONSOLE_COLS_DEFAULT,
    };
    s->is_terminal = true;
    return host_vm_terminal(h, t->account, t->vm, &term, &s->stream, e);
}

struct session_query {
    struct field_text token;
};

static const struct field session_query[] = {
    {"session", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct session_query, token), .max_bytes = 64,
     .doc = "The token"},
    {0},
};

static int connect_console(struct request *rq, struct websocket_session *ret, struct err *e)
{
    const struct session_query *q = rq->query.data;
    char vm[ID_SIZE];
    CLEANUP(ticket_freep) struct ticket *t = NULL;
    int r = native_vm(rq, vm, e);
    if (r == 0)
        r = take_ticket(q->token.data, vm, &t, e);
    if (r < 0)
        return r;
    auto_free struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "open a console");
    if (t->kind == KIND_SERIAL)
        r = host_vm_console(rq->host, t->account, t->vm, &s->stream, e);
    else
        r = open_terminal(rq->host, t, s, e);
    if (r < 0)
        return r;
    *ret = (struct websocket_session){
        .run = run_session, .stop = stop_session, .free = free_session, .arg = TAKE_PTR(s)};
    return 0;
}

/* ---- GET /v1/vms/{id}/console ---- */

struct log_query {
    int64_t tail; /* 0: all */
};

static const struct field log_query[] = {
    {"tail", FIELD_INTEGER, 0, offsetof(struct log_query, tail), .min = 1, .max = INT32_MAX,
     .doc = "Only so many lines, the last ones"},
    {0},
};

/* Where the last `n` lines begin; what is behind the last line end is a line too. */
static size_t tail_start(const struct buf *b, int64_t n)
{
    size_t at = b->len;
    if (at && b->data[at - 1] == '\n')
        at--;
    while (at) {
        if (b->data[at - 1] == '\n' && --n == 0)
            break;
        at--;
    }
    return at;
}

static int get_log(struct request *rq, struct answer *ret, struct err *e)
{
    const struct log_query *q = rq->query.data;
    char vm[ID_SIZE];
    auto_buf struct buf raw = {0};
    int r = native_vm(rq, vm, e);
    if (r == 0)
        r = host_vm_console_log(rq->host, rq->account, vm, &raw, e);
    if (r < 0)
        return r;
    size_t from = q->tail ? tail_start(&raw, q->tail) : 0;
    r = text_utf8_repair(buf_str(&raw) + from, raw.len - from, &ret->body);
    return r < 0 ? err_errno(e, r, "read the console's log") : 0;
}

/* ---- rows ---- */

const struct route native_console_routes[] = {
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/console-token", "createConsoleToken"),
        .handler = make_token,
        .request = token_request,
        .input_bytes = sizeof(struct token_input),
        .response = token_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_BODY_OPTIONAL,
        .doc = "A token for one terminal or console session",
    },
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/console/ws", "connectConsole"),
        .websocket = connect_console,
        .query = session_query,
        .query_bytes = sizeof(struct session_query),
        .flags = ROUTE_SIGNED,
        .doc = "The session, a WebSocket",
    },
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/console", "getConsoleLog"),
        .handler = get_log,
        .query = log_query,
        .query_bytes = sizeof(struct log_query),
        .content_type = "text/plain; charset=utf-8",
        .flags = ROUTE_ACCOUNT,
        .doc = "The serial console's log",
    },
    {0},
};

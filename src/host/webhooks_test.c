/* SPDX-License-Identifier: Apache-2.0 */

/* Webhooks against a server of sockets that does what a test wants with each request. */

#include "host/webhooks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/test.h"
#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/store_people.h"
#include "host/webhooks_priv.h"

#define PATIENCE_MS 60000

/* --- a server --- */

struct server {
    int fd;
    char url[64];
};

static void server_open(struct server *s, int family)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = family == AF_INET6 ? sizeof(six) : sizeof(four);
    struct sockaddr *at = family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    s->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, at, len), 0);
    assert_int_equal(listen(s->fd, 16), 0);
    assert_int_equal(getsockname(s->fd, at, &len), 0);
    if (family == AF_INET6)
        snprintf(s->url, sizeof(s->url), "http://[::1]:%d/hook", ntohs(six.sin6_port));
    else
        snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/hook", ntohs(four.sin_port));
}

struct incoming {
    int fd;
    struct buf text; /* the whole request */
    const char *body;
    json_t *json;
};

static void incoming_done(struct incoming *in)
{
    if (in->fd >= 0)
        close(in->fd);
    buf_done(&in->text);
    json_decref(in->json);
}
#define auto_incoming CLEANUP(incoming_done)

static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static bool is_complete(struct incoming *in)
{
    const char *end = in->text.len ? strstr(in->text.data, "\r\n\r\n") : NULL;
    const char *length = end ? strcasestr(in->text.data, "Content-Length: ") : NULL;
    if (!length)
        return false;
    in->body = end + 4;
    return strlen(in->body) >= strtoul(length + 16, NULL, 10);
}

/* The next request on a connection of its own, with its whole body. */
static void take(struct server *s, struct incoming *in)
{
    await(s->fd);
    in->fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(in->fd >= 0);
    while (!is_complete(in)) {
        char *p = buf_reserve(&in->text, 65536);
        await(in->fd);
        ssize_t n = recv(in->fd, p, 65536, 0);
        assert_true(n > 0);
        in->text.len += (size_t)n;
        in->text.data[in->text.len] = '\0';
    }
    in->json = json_loads(in->body, 0, NULL);
    assert_non_null(in->json);
}

static void answer(struct incoming *in, const char *text)
{
    assert_int_equal(fd_write_all(in->fd, text, strlen(text)), 0);
    close(in->fd);
    in->fd = -1;
}

#define OK "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

static const char *name_of(const struct incoming *in)
{
    return json_string_value(json_object_get(in->json, "name"));
}

/* Takes a request, which must tell of this name, and answers it. Returns the event's number. */
static int64_t serve(struct server *s, const char *name, const char *text)
{
    auto_incoming struct incoming in = {.fd = -1};
    take(s, &in);
    assert_string_equal(name_of(&in), name);
    answer(&in, text);
    return json_integer_value(json_object_get(in.json, "id"));
}

/* --- a host --- */

struct world {
    char *dir;
    struct config config;
    struct host host;
    char admin[ID_SIZE];
    struct server server, other;
};

static json_t *event_json(const struct activity *a)
{
    return json_pack("{s:I, s:s, s:s}", "id", (json_int_t)a->id, "type", a->type, "name", a->name);
}

static json_t *id_json(const char *id)
{
    return json_string(id);
}

static void world_open(struct world *w)
{
    char path[PATH_MAX];
    const struct quota none = {0};
    struct host *h = &w->host;
    path_printf(path, sizeof(path), "%s/holm.db", w->dir);
    assert_int_equal(store_open(path, &h->store, NULL), 0);
    assert_int_equal(activities_new(h, &h->activities, NULL), 0);
    assert_int_equal(accounts_new(h->store, w->dir, &none, &h->accounts, NULL), 0);
    assert_int_equal(webhooks_new(h, &h->webhooks, NULL), 0);
    h->webhooks->wait_ms = 1;
    accounts_first_admin(h->accounts, w->admin);
    host_webhooks_tell(h, event_json, id_json);
}

static void world_close(struct world *w)
{
    webhooks_stop(w->host.webhooks);
    activities_free(TAKE_PTR(w->host.activities));
    webhooks_free(TAKE_PTR(w->host.webhooks));
    accounts_free(TAKE_PTR(w->host.accounts));
    store_close(TAKE_PTR(w->host.store));
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->dir = test_dir_make();
    world_open(w);
    server_open(&w->server, AF_INET);
    server_open(&w->other, AF_INET);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    world_close(w);
    close(w->server.fd);
    close(w->other.fd);
    test_dir_drop(&w->dir);
    free(w);
    return 0;
}

static void make(struct world *w, const char *url, const char *types, struct webhook_info *ret)
{
    const struct webhook_patch p = {.name = "ops", .url = url, .types = types};
    struct err e = ERR_INIT;
    if (host_webhook_create(&w->host, w->admin, &p, ret, &e) < 0)
        fail_msg("%s", e.text);
}

static void note(struct world *w, const char *account, const char *type, const char *name)
{
    const struct activity_note n = {.account = account, .type = type, .name = name};
    host_note(&w->host, &n);
}

static void happen(struct world *w, const char *name)
{
    note(w, w->admin, "key.created", name);
}

/* Until it says so of the last try. */
static void await_status(struct world *w, const struct webhook_info *hook, int status,
                         const char *error)
{
    struct webhook_info now;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        assert_int_equal(host_webhook_get(&w->host, w->admin, hook->id, &now, NULL), 0);
        if (now.last_status == status && strstr(now.last_error, error) &&
            (*error || !now.last_error[0]))
            return;
        if (clock_mono_ms() > until_ms)
            fail_msg("%d %s", now.last_status, now.last_error);
        poll(NULL, 0, 5); /* nobody is told of a try */
    }
}

static void await_delivered(struct world *w, const struct webhook_info *hook, int64_t id)
{
    struct webhook_info now;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    do {
        assert_true(clock_mono_ms() < until_ms);
        assert_int_equal(host_webhook_get(&w->host, w->admin, hook->id, &now, NULL), 0);
        poll(NULL, 0, now.delivered_id < id ? 5 : 0); /* nobody is told of that either */
    } while (now.delivered_id < id);
}

/* --- tests --- */

static void test_what_is_sent(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    char hex[65], line[128];
    unsigned char mac[32];
    crypto_auth_hmacsha256_state st;
    make(w, w->server.url, "key.created", &hook);
    happen(w, "one");
    auto_incoming struct incoming in = {.fd = -1};
    take(&w->server, &in);
    assert_memory_equal(in.text.data, "POST /hook HTTP/1.1\r\n", 21);
    assert_non_null(strcasestr(in.text.data, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strcasestr(in.text.data, "\r\nX-Holm-Event: key.created\r\n"));
    assert_null(strcasestr(in.text.data, "\r\nExpect:"));
    assert_string_equal(json_string_value(json_object_get(in.json, "webhookId")), hook.id);
    crypto_auth_hmacsha256_init(&st, (const unsigned char *)hook.secret, strlen(hook.secret));
    crypto_auth_hmacsha256_update(&st, (const unsigned char *)in.body, strlen(in.body));
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    snprintf(line, sizeof(line), "\r\nX-Holm-Signature: sha256=%s\r\n", hex);
    assert_non_null(strcasestr(in.text.data, line));
    answer(&in, OK);
    await_status(w, &hook, 204, "");
}

static void test_ipv6(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    struct server six;
    server_open(&six, AF_INET6);
    make(w, six.url, "", &hook);
    serve(&six, "ops", OK); /* that it was created */
    await_status(w, &hook, 204, "");
    close(six.fd);
}

/* Whatever comes that is no success: again and again, and nothing else first. */
static void test_bad_answers(void **state)
{
    static const struct {
        const char *answer;
        int status;
        const char *error;
    } rows[] = {
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 500, "answered 500"},
        {"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 404, "answered 404"},
        {"HTTP/1.1 302 Go\r\nLocation: /other\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
         302, "answered 302"},
        {"SSH-2.0-garbage\r\n\r\n", 0, "protocol"},
        {"", 0, "no data"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 200, "transfer"},
    };
    struct world *w = *state;
    struct webhook_info hook;
    make(w, w->server.url, "key.created", &hook);
    happen(w, "first");
    happen(w, "second");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct webhook_info now;
        serve(&w->server, "first", rows[i].answer);
        auto_incoming struct incoming in = {.fd = -1};
        take(&w->server, &in); /* by now the first try is noted */
        assert_string_equal(name_of(&in), "first");
        assert_int_equal(host_webhook_get(&w->host, w->admin, hook.id, &now, NULL), 0);
        assert_int_equal(now.last_status, rows[i].status);
        if (!strcasestr(now.last_error, rows[i].error))
            fail_msg("%zu: %s", i, now.last_error);
        answer(&in, OK);
        serve(&w->server, "second", OK);
        happen(w, "first");
        happen(w, "second");
    }
}

static void test_a_long_answer(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    make(w, w->server.url, "key.created", &hook);
    happen(w, "one");
    auto_incoming struct incoming in = {.fd = -1};
    take(&w->server, &in);
    const char *head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    assert_int_equal(fd_write_all(in.fd, head, strlen(head)), 0);
    /* It is never told to its end: whoever waits for that waits for ever. */
    static char piece[WEBHOOK_ANSWER_MAX_BYTES];
    while (send(in.fd, piece, sizeof(piece), MSG_NOSIGNAL) > 0)
        ;
    await_status(w, &hook, 200, "");
}

static void test_no_answer(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    w->host.webhooks->timeout_ms = 50;
    make(w, w->server.url, "key.created", &hook);
    happen(w, "one");
    auto_incoming struct incoming silent = {.fd = -1};
    take(&w->server, &silent);
    /* Another one is told meanwhile. */
    struct webhook_info other;
    make(w, w->other.url, "key.created", &other);
    happen(w, "two");
    serve(&w->other, "two", OK);
    /* An answer may be too late for so little patience. */
    for (bool is_second = false; !is_second;) {
        auto_incoming struct incoming in = {.fd = -1};
        take(&w->server, &in);
        is_second = strcmp(name_of(&in), "two") == 0;
        answer(&in, OK);
    }
}

static void test_given_up(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    struct activity a;
    struct activity_feed *f = NULL;
    make(w, w->server.url, "key.created", &hook);
    assert_int_equal(host_activity_follow(&w->host, NULL, -1, &f, NULL), 0);
    happen(w, "hopeless");
    for (int i = 0; i < WEBHOOK_TRIES; i++)
        serve(&w->server, "hopeless", "HTTP/1.1 503 No\r\nConnection: close\r\n\r\n");
    happen(w, "next");
    serve(&w->server, "next", OK);
    do {
        assert_int_equal(activity_feed_next(f, PATIENCE_MS, &a, NULL), 1);
        if (strcmp(a.type, "webhook.failed") != 0)
            activity_done(&a);
    } while (strcmp(a.type, "webhook.failed") != 0);
    assert_string_equal(a.entity, hook.id);
    assert_string_equal(json_string_value(json_object_get(a.data, "error")), "it answered 503");
    activity_done(&a);
    activity_feed_close(f);
}

static void test_only_what_it_asks_for(void **state)
{
    struct world *w = *state;
    struct webhook_info hook, bobs;
    struct account_info bob;
    assert_int_equal(host_account_create(&w->host, "bob", NULL, &bob, NULL), 0);
    const struct webhook_patch p = {.name = "bob's", .url = w->other.url};
    make(w, w->server.url, "key.created key.revoked", &hook);
    assert_int_equal(host_webhook_create(&w->host, bob.id, &p, &bobs, NULL), 0);
    note(w, w->admin, "vm.created", "no");
    note(w, w->admin, "webhook.failed", "no");
    note(w, bob.id, "key.revoked", "bob");
    happen(w, "admin");
    serve(&w->server, "bob", OK);
    serve(&w->server, "admin", OK);
    serve(&w->other, "bob's", OK);
    serve(&w->other, "bob", OK);
    note(w, bob.id, "vm.created", "last");
    serve(&w->other, "last", OK);
}

static void test_the_next_daemon_delivers(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    make(w, w->server.url, "key.created", &hook);
    happen(w, "one");
    happen(w, "two");
    serve(&w->server, "one", OK);
    {
        auto_incoming struct incoming in = {.fd = -1};
        take(&w->server, &in);
        world_close(w); /* in the middle of it */
        world_open(w);
    }
    await_delivered(w, &hook, serve(&w->server, "two", OK));
    world_close(w);
    world_open(w);
    happen(w, "three");
    serve(&w->server, "three", OK);
}

static void test_changes_count_at_once(void **state)
{
    struct world *w = *state;
    struct webhook_info hook;
    const bool no = false, yes = true;
    make(w, w->server.url, "key.created", &hook);
    happen(w, "one");
    auto_incoming struct incoming in = {.fd = -1};
    take(&w->server, &in); /* and never an answer */
    const struct webhook_patch move = {.url = w->other.url};
    assert_int_equal(host_webhook_update(&w->host, w->admin, hook.id, &move, &hook, NULL), 0);
    await_delivered(w, &hook, serve(&w->other, "one", OK));
    const struct webhook_patch off = {.enabled = &no}, on = {.enabled = &yes};
    assert_int_equal(host_webhook_update(&w->host, w->admin, hook.id, &off, &hook, NULL), 0);
    happen(w, "untold");
    assert_int_equal(host_webhook_update(&w->host, w->admin, hook.id, &on, &hook, NULL), 0);
    happen(w, "two");
    serve(&w->other, "two", OK);
    /* One that is deleted in the middle of a request. */
    happen(w, "three");
    auto_incoming struct incoming last = {.fd = -1};
    take(&w->other, &last);
    assert_int_equal(host_webhook_delete(&w->host, w->admin, hook.id, NULL), 0);
    await(last.fd); /* the connection is closed */
    char c;
    assert_true(recv(last.fd, &c, 1, 0) <= 0);
}

static void test_what_is_refused(void **state)
{
    static const char *const urls[] = {"",
                                       "example.org",
                                       "ftp://example.org/",
                                       "file:///etc/passwd",
                                       "gopher://example.org/",
                                       "http://",
                                       "http://a:b@example.org/",
                                       "http://a@example.org/",
                                       "http://exa mple.org/",
                                       "http://example.org:99999/",
                                       "http://example.org/\r\nX: y",
                                       "http://[::1/"};
    struct world *w = *state;
    struct webhook_info hook;
    struct account_info other;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        const struct webhook_patch p = {.name = "x", .url = urls[i]};
        if (host_webhook_create(&w->host, w->admin, &p, &hook, &e) != -EINVAL)
            fail_msg("%s", urls[i]);
        assert_string_equal(e.field, "url");
    }
    const struct webhook_patch types = {.name = "x", .url = "http://a/", .types = "key.x"};
    assert_int_equal(host_webhook_create(&w->host, w->admin, &types, &hook, &e), -EINVAL);
    assert_string_equal(e.field, "eventTypes");
    const struct webhook_patch fine = {.name = "x", .url = "https://a.example/?q=@"};
    assert_int_equal(host_account_create(&w->host, "other", NULL, &other, NULL), 0);
    for (int i = 0; i < WEBHOOKS_MAX; i++)
        assert_int_equal(host_webhook_create(&w->host, other.id, &fine, &hook, &e), 0);
    assert_int_equal(host_webhook_create(&w->host, other.id, &fine, &hook, &e), -EPERM);
    assert_int_equal(host_webhook_get(&w->host, w->admin, hook.id, &hook, &e), -ENOENT);
    assert_int_equal(host_webhook_delete(&w->host, w->admin, hook.id, &e), -ENOENT);
    assert_int_equal(host_webhook_update(&w->host, w->admin, hook.id, &fine, &hook, &e), -ENOENT);
    auto_free struct webhook_info *list = NULL;
    size_t n = 0;
    assert_int_equal(host_webhook_list(&w->host, other.id, &list, &n, NULL), 0);
    assert_int_equal(n, WEBHOOKS_MAX);
}

/* Not only with the next start; and what was let in before makes none anew. */
static void test_of_a_deleted_account(void **state)
{
    struct world *w = *state;
    struct account_info account;
    struct webhook_info made, info;
    struct err e = ERR_INIT;
    const struct webhook_patch p = {.name = "ops", .url = w->server.url};
    make(w, w->other.url, "", &info);
    assert_int_equal(host_account_create(&w->host, "other", NULL, &account, NULL), 0);
    assert_int_equal(host_webhook_create(&w->host, account.id, &p, &made, NULL), 0);
    assert_int_equal(host_account_delete(&w->host, account.id, &e), 0);
    assert_int_equal(host_webhook_get(&w->host, account.id, made.id, &made, &e), -ENOENT);
    assert_int_equal(host_webhook_create(&w->host, account.id, &p, &made, &e), -ENOENT);
    assert_non_null(strstr(e.text, "there is no account"));
    assert_int_equal(host_webhook_get(&w->host, w->admin, info.id, &info, NULL), 0);
    world_close(w);
    world_open(w);
    assert_ptr_equal(w->host.webhooks->first->next, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_sent),
        TEST(test_ipv6),
        TEST(test_bad_answers),
        TEST(test_a_long_answer),
        TEST(test_no_answer),
        TEST(test_given_up),
        TEST(test_only_what_it_asks_for),
        TEST(test_the_next_daemon_delivers),
        TEST(test_changes_count_at_once),
        TEST(test_what_is_refused),
        TEST(test_of_a_deleted_account),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

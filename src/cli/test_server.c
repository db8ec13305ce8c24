/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <microhttpd.h>

#include "base/test.h"

struct test_server {
    struct MHD_Daemon *mhd;
    const struct test_reply *replies;
    char url[64];
    pthread_mutex_t lock; /* owns what follows */
    pthread_cond_t changed;
    int served[TEST_REPLIES_MAX];
    struct buf body;
    char accept[64];
    char key[64];
    bool gone;
};

/* One request. */
struct exchange {
    struct test_server *server;
    struct MHD_Connection *conn;
    const struct test_reply *reply;
    struct buf body;
    size_t step;
    size_t offset;
};

static const struct test_reply not_found = {
    .path = "", .status = 404, .steps = {"{\"error\":\"no such path\"}"}};

static const struct test_reply *choose(struct test_server *s, const char *path)
{
    const struct test_reply *best = &not_found;
    size_t at = TEST_REPLIES_MAX;
    AUTO_LOCK(&s->lock);
    for (size_t i = 0; s->replies[i].path; i++) {
        if (strcmp(s->replies[i].path, path) || (at < TEST_REPLIES_MAX && s->served[i]))
            continue;
        best = &s->replies[i];
        at = i;
        if (!s->served[i])
            break;
    }
    if (at < TEST_REPLIES_MAX)
        s->served[at]++;
    return best;
}

static void note_request(struct exchange *x)
{
    struct test_server *s = x->server;
    const char *accept = MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "Accept");
    const char *key = MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "X-API-Key");
    AUTO_LOCK(&s->lock);
    snprintf(s->accept, sizeof(s->accept), "%s", accept ? accept : "");
    snprintf(s->key, sizeof(s->key), "%s", key ? key : "");
    buf_clear(&s->body);
    buf_append(&s->body, buf_str(&x->body), x->body.len);
}

static void wait_client_gone(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd p = {.fd = info->connect_fd, .events = POLLRDHUP};
    poll(&p, 1, -1);
    AUTO_LOCK(&x->server->lock);
    x->server->gone = true;
    pthread_cond_broadcast(&x->server->changed);
}

/* MHD_ContentReaderCallback: one step at a time. */
static ssize_t read_body(void *arg, uint64_t pos, char *buf, size_t max)
{
    struct exchange *x = arg;
    const char *step = x->step < TEST_STEPS_MAX ? x->reply->steps[x->step] : NULL;
    if (!step || (step != TEST_HANG && !*step))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (step == TEST_HANG) {
        wait_client_gone(x);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = strlen(step) - x->offset, n = left < max ? left : max;
    memcpy(buf, step + x->offset, n);
    x->offset += n;
    if (n == left) {
        x->step++;
        x->offset = 0;
    }
    return (ssize_t)n;
}

static enum MHD_Result answer(struct exchange *x)
{
    const struct test_reply *r = x->reply;
    struct MHD_Response *resp =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1 << 16, read_body, x, NULL);
    MHD_add_response_header(resp, "Content-Type", r->type ? r->type : "application/json");
    if (r->retry_after)
        MHD_add_response_header(resp, "Retry-After", r->retry_after);
    enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)r->status, resp);
    MHD_destroy_response(resp);
    return ok;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **state)
{
    struct exchange *x = *state;
    if (!x) {
        x = *state = calloc(1, sizeof(*x));
        x->server = arg;
        x->conn = conn;
        return MHD_YES;
    }
    if (*len) {
        buf_append(&x->body, data, *len);
        *len = 0;
        return MHD_YES;
    }
    note_request(x);
    x->reply = choose(x->server, url);
    return answer(x);
}

static void on_completed(void *arg, struct MHD_Connection *conn, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *state;
    if (x)
        buf_done(&x->body);
    free(x);
}

static struct test_server *start(const struct test_reply *replies, int listen_fd)
{
    struct test_server *s = calloc(1, sizeof(*s));
    s->replies = replies;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->mhd = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0,
                              NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                              MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    assert_non_null(s->mhd);
    return s;
}

struct test_server *test_server_new(const struct test_reply *replies)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 64) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    struct test_server *s = start(replies, fd);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(addr.sin_port));
    return s;
}

struct test_server *test_server_new_unix(const struct test_reply *replies, const char *path)
{
    int fd = unix_listen(path, 0600, 64);
    assert_true(fd >= 0);
    struct test_server *s = start(replies, fd);
    snprintf(s->url, sizeof(s->url), "unix:%s", path);
    return s;
}

void test_server_free(struct test_server *s)
{
    MHD_stop_daemon(s->mhd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    buf_done(&s->body);
    free(s);
}

const char *test_server_url(const struct test_server *s)
{
    return s->url;
}

const char *test_server_body(const struct test_server *s)
{
    return buf_str(&s->body);
}

const char *test_server_accept(const struct test_server *s)
{
    return s->accept;
}

const char *test_server_key(const struct test_server *s)
{
    return s->key;
}

int test_server_count(struct test_server *s, const char *path)
{
    int n = 0;
    AUTO_LOCK(&s->lock);
    for (size_t i = 0; s->replies[i].path; i++)
        n += strcmp(s->replies[i].path, path) ? 0 : s->served[i];
    return n;
}

void test_server_wait_gone(struct test_server *s)
{
    AUTO_LOCK(&s->lock);
    while (!s->gone)
        pthread_cond_wait(&s->changed, &s->lock);
}

/* ---- running holm ---- */

static const char *holm_path;

void test_holm_set(const char *path)
{
    holm_path = path;
}

static pid_t spawn(const struct test_server *s, const struct test_run *run, const int fds[3])
{
    const char *argv[64] = {"holm"}, *env[32];
    char url[96], path[4096];
    snprintf(url, sizeof(url), "HOLM_URL=%s", s ? s->url : "http://127.0.0.1:1");
    snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
    size_t n = 0;
    for (; run->argv[n]; n++)
        argv[n + 1] = run->argv[n];
    size_t m = 0;
    /* The test's own come first: of two of a name, the first counts. */
    for (; run->env && run->env[m]; m++)
        env[m] = run->env[m];
    env[m++] = path;
    env[m++] = url;
    env[m++] = "LC_ALL=C.UTF-8";
    env[m++] = "TERM=xterm";
    env[m] = NULL;
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&fa, fds[i], i);
    pid_t pid;
    int r = posix_spawn(&pid, holm_path, &fa, NULL, (char **)argv, (char **)env);
    posix_spawn_file_actions_destroy(&fa);
    assert_int_equal(r, 0);
    return pid;
}

static int input_fd(const struct test_run *run)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    assert_true(fd >= 0);
    size_t len = run->input_len ? run->input_len : run->input ? strlen(run->input) : 0;
    assert_int_equal(fd_write_all(fd, run->input, len), 0);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int wait_code(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void take_output(int fd, struct buf *ret)
{
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(fd_slurp(fd, ret, 256 << 20), 0);
}

void test_holm(const struct test_server *s, const struct test_run *run, struct test_ran *ret)
{
    auto_close int in = input_fd(run);
    auto_close int out = memfd_create("out", MFD_CLOEXEC);
    auto_close int err = memfd_create("err", MFD_CLOEXEC);
    const int fds[3] = {run->fds[0] ? run->fds[0] : in, run->fds[1] ? run->fds[1] : out,
                        run->fds[2] ? run->fds[2] : err};
    *ret = (struct test_ran){.code = wait_code(spawn(s, run, fds))};
    take_output(out, &ret->out);
    take_output(err, &ret->err);
}

void test_ran_done(struct test_ran *r)
{
    buf_done(&r->out);
    buf_done(&r->err);
}

void test_holm_start(const struct test_server *s, const struct test_run *run,
                     struct test_child *ret)
{
    auto_close int in = input_fd(run);
    int out[2], err[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    const int fds[3] = {run->fds[0] ? run->fds[0] : in, run->fds[1] ? run->fds[1] : out[1],
                        run->fds[2] ? run->fds[2] : err[1]};
    *ret = (struct test_child){.pid = spawn(s, run, fds), .out = out[0], .err = err[0]};
    close(out[1]);
    close(err[1]);
}

int test_holm_wait(struct test_child *c)
{
    int code = wait_code(c->pid);
    if (c->out >= 0)
        close(c->out);
    close(c->err);
    return code;
}

bool test_read_until(int fd, const char *text, struct buf *ret)
{
    while (!strstr(buf_str(ret), text)) {
        char chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n <= 0)
            return false;
        buf_append(ret, chunk, (size_t)n);
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: an HTTP server on loopback that answers what the test has written down, and a way to
 * run the real `holm` against it. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define TEST_REPLIES_MAX 16
#define TEST_STEPS_MAX 8

/* As a step of a reply: send nothing more until the client has gone. */
#define TEST_HANG ((const char *)1)

struct test_socket;

/* One answer. */
struct test_reply {
    const char *path;   /* for which requests; NULL ends a list */
    const char *method; /* NULL: any */
    const char *query;  /* has to be in the request's query, "stat=1"; NULL: any */
    int status;
    const char *type;                  /* NULL: application/json */
    const char *retry_after;           /* NULL: no such header */
    const char *steps[TEST_STEPS_MAX]; /* the body in pieces, each sent by itself */
    size_t size;                       /* instead of steps: so many bytes */
    const char *data;                  /* which ones; NULL: see test_byte */
    bool has_length;                   /* of a body of one step or of `size`: it is said before */
    bool refuses;                      /* answers before it has read the request's body */
    /* Instead of all of the above but path: upgrades to a WebSocket and talks on it. Runs on a
     * thread of the server's; the socket is closed afterwards. */
    void (*talk)(struct test_socket *ws);
};

/* The byte at `at` of a body that is given by its size. */
static inline char test_byte(size_t at)
{
    return (char)(at * 31 + at / 251);
}

struct test_server;

/* Replies to a path are used in their order, the last of them again and again; other paths get 404.
 * `replies` is borrowed. */
struct test_server *test_server_new(const struct test_reply *replies);

/* The same on a socket in the file system. */
struct test_server *test_server_new_unix(const struct test_reply *replies, const char *path);
void test_server_free(struct test_server *s);
static inline void test_server_drop(struct test_server **s)
{
    test_server_free(*s);
}
#define auto_test_server __attribute__((cleanup(test_server_drop)))

const char *test_server_url(const struct test_server *s);

/* What the last request sent (that of a refused one is not read), and its headers; requests to a
 * path so far. */
const char *test_server_body(const struct test_server *s);
size_t test_server_body_len(const struct test_server *s);
const char *test_server_accept(const struct test_server *s);
const char *test_server_key(const struct test_server *s);
int test_server_count(struct test_server *s, const char *path);

/* Waits until so many requests to the path have come. */
void test_server_wait_count(struct test_server *s, const char *path, int n);

/* All requests so far, a line each: "GET /v1/vms?status=running", and behind a space the body of
 * those that had a JSON one. */
const char *test_server_log(const struct test_server *s);

/* Waits until a client has closed its connection before its answer was complete. */
void test_server_wait_gone(struct test_server *s);

/* ---- WebSockets, the server's side ---- */

#define TEST_WS_TEXT 1
#define TEST_WS_BINARY 2
#define TEST_WS_CLOSE 8
#define TEST_WS_PING 9
#define TEST_WS_PONG 10

/* Sends one whole message. */
void test_ws_send(struct test_socket *ws, int opcode, const void *data, size_t len);

/* Sends a close frame with a code and a reason. */
void test_ws_close(struct test_socket *ws, int code, const char *reason);

/* Sends bytes as they are, frame or not. */
void test_ws_raw(struct test_socket *ws, const void *data, size_t len);

/* Receives one frame (unmasked); its opcode, or -1 when the client has gone. */
int test_ws_receive(struct test_socket *ws, struct buf *ret);

/* The query of the request that was upgraded. */
const char *test_ws_query(const struct test_socket *ws);

/* ---- running holm ---- */

struct test_run {
    const char *const *argv; /* after "holm", NULL-terminated */
    const char *const *env;  /* besides PATH, HOLM_URL and the locale; may be NULL */
    const char *input;       /* stdin; NULL: /dev/null */
    size_t input_len;
    int fds[3]; /* > 0: used instead */
};

/* What came of it. */
struct test_ran {
    int code; /* exit code; 1000 + signal when a signal ended it */
    struct buf out;
    struct buf err;
};

/* Runs it to its end. The program is that of argv[1] of the test, see test_holm_set. */
void test_holm(const struct test_server *s, const struct test_run *run, struct test_ran *ret);
void test_ran_done(struct test_ran *r);
#define auto_test_ran __attribute__((cleanup(test_ran_done)))

/* Starts it with stdout (and stderr, unless run->fds has it) in pipes. */
struct test_child {
    int pid;
    int out;
    int err;
};
void test_holm_start(const struct test_server *s, const struct test_run *run,
                     struct test_child *ret);
int test_holm_wait(struct test_child *c);

/* Reads from fd until `text` has come (appending to `ret`), or the end: false. */
bool test_read_until(int fd, const char *text, struct buf *ret);

void test_holm_set(const char *path);

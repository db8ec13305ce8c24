/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For component tests: a real server on a free port over the stub host, and a client of plain
 * sockets that can also misbehave. Any failure ends the test by cmocka's assertions. */

#include "base/test.h"

#include <jansson.h>
#include <stdbool.h>

#include "api/route.h"
#include "api/server.h"
#include "api/stub_host.h"
#include "api/stub_vms.h"
#include "base/buf.h"

/* Waits in tests end with a failure after this long; no test passes because of it. */
#define TEST_PATIENCE_MS 30000

struct test_server {
    struct server *server;
    int port;
};

/* Starts one listener on 127.0.0.1; `config` may be NULL. */
void test_server_start(struct test_server *ts, const struct server_config *config);
void test_server_stop(struct test_server *ts);

/* cmocka's setup and teardown: *state is a struct test_server. */
int test_setup(void **state);
int test_teardown(void **state);

/* Rows with everything that a row can have, below /test/ (api_test_rows.c): route_add_rows takes
 * them. */
extern const struct route test_rows[];
extern const struct dialect test_dialect;
struct test_count {
    int begun, freed; /* read them when no request runs */
};
extern struct test_count test_uploads, test_sessions;
extern int test_sessions_stopped;
/* Waits until so many were begun since the program started, and each of them freed once. */
void test_count_wait(const struct test_count *c, int begun);
#define TEST_FILE_BYTES 300000ull
/* What the files of these rows are made of. */
char test_byte(uint64_t offset);

struct reply {
    int status;
    struct buf head; /* status line and headers, NUL-terminated */
    struct buf body; /* without chunking */
    json_t *json;    /* of the body, NULL when it is none */
    bool closed;     /* the server closed the connection behind it */
};
void reply_done(struct reply *r);
#define auto_reply CLEANUP(reply_done)

/* The value of a header, NULL: not there. Valid until the next call. */
const char *reply_header(const struct reply *r, const char *name);
/* A string of the JSON body; "" when it is not there. */
const char *reply_string(const struct reply *r, const char *key);

int client_connect(const struct test_server *ts);
void client_send(int fd, const char *data, size_t len);
void client_send_text(int fd, const char *text);
/* Reads one reply. `has_body` false: the answer of a HEAD request. */
void client_read(int fd, bool has_body, struct reply *ret);
/* Reads status line and headers; `rest` gets what was read beyond them. */
void client_read_head(int fd, struct reply *ret, struct buf *rest);

/* The lines of a chunked body, as they come. Zero-initialise, then set fd. */
struct line_reader {
    int fd;
    struct buf raw;  /* what client_read_head left over */
    struct buf text; /* out of its chunks */
};
/* False: the body is complete. */
bool line_read(struct line_reader *lr, struct buf *ret);
void line_reader_done(struct line_reader *lr);
#define auto_line_reader CLEANUP(line_reader_done)

/* Reads until the other side closes. */
void client_read_all(int fd, struct buf *ret);

/* One request on a connection of its own. `headers`: more lines, each with \r\n; may be NULL. */
void request(const struct test_server *ts, const char *method, const char *path,
             const char *headers, const char *body, struct reply *ret);
/* POST of JSON to /api/v1/execute. */
void execute(const struct test_server *ts, const char *json, struct reply *ret);

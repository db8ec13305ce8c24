/* SPDX-License-Identifier: Apache-2.0 */

/* Rows with everything that a row can have, whatever the dialects use of it today. */

#include "api/api_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "api/request.h"
#include "api/route.h"
#include "api/websocket.h"

#define AT(type, member) offsetof(struct type, member)

struct test_count test_uploads, test_sessions;
int test_sessions_stopped;

static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t counted = PTHREAD_COND_INITIALIZER;

static void count(int *n)
{
    AUTO_LOCK(&count_lock);
    (*n)++;
    pthread_cond_broadcast(&counted);
}

void test_count_wait(const struct test_count *c, int begun)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TEST_PATIENCE_MS / 1000;
    AUTO_LOCK(&count_lock);
    int r = 0;
    while (r == 0 && (c->begun < begun || c->freed < begun))
        r = pthread_cond_timedwait(&counted, &count_lock, &until);
    assert_int_equal(c->begun, begun);
    assert_int_equal(c->freed, begun);
}

static json_t *test_error(const struct err *e)
{
    return json_pack("{s:{s:s, s:s, s:s}}", "error", "code", err_class_name(e->class), "message",
                     e->text, "field", e->field);
}

static const struct field error_inner[] = {
    {"code", FIELD_TEXT, FIELD_REQUIRED, .doc = "For programs"},
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},
    {"field", FIELD_TEXT, FIELD_REQUIRED, .doc = "Which one"},
    {0},
};

static const struct field error_fields[] = {
    {"error", FIELD_OBJECT, FIELD_REQUIRED, .fields = error_inner, .doc = "What is wrong"},
    {0},
};

const struct dialect test_dialect = {
    .name = "test",
    .title = "Test rows",
    .doc = "Everything a row can have.",
    .prefix = "/test/",
    .error = test_error,
    .error_fields = error_fields,
    .says_no_retry = true,
};

/* ---- query ---- */

struct test_query {
    struct field_text status;
    int64_t offset;
    double ratio;
    bool list;
    int color;
    struct field_pairs metadata;
};

static const char *const colors[] = {"red", "green", NULL};
static const struct test_query query_defaults = {.offset = 7};

static const struct field query_fields[] = {
    {"status", FIELD_TEXT, 0, AT(test_query, status), .max_bytes = 20, .doc = "Any text"},
    {"offset", FIELD_INTEGER, 0, AT(test_query, offset), .min = 0, .max = 1000, .doc = "A number"},
    {"ratio", FIELD_NUMBER, 0, AT(test_query, ratio), .min = -1, .max = 1, .doc = "A fraction"},
    {"list", FIELD_BOOL, 0, AT(test_query, list), .doc = "Yes or no"},
    {"color", FIELD_CHOICE, 0, AT(test_query, color), .choices = colors, .doc = "One of them"},
    {"metadata", FIELD_MAP, 0, AT(test_query, metadata), .max = 2, .doc = "Pairs"},
    {0},
};

static int get_query(struct request *rq, struct answer *ret, struct err *e)
{
    const struct test_query *q = rq->query.data;
    json_t *map = q->metadata.object ? json_incref(q->metadata.object) : json_object();
    ret->json =
        json_pack("{s:s, s:I, s:f, s:b, s:s, s:o}", "status",
                  q->status.data ? q->status.data : "none", "offset", (json_int_t)q->offset,
                  "ratio", q->ratio, "list", q->list, "color", colors[q->color], "metadata", map);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field no_fields[] = {{0}};

/* ---- accounts and URLs ---- */

static int get_account(struct request *rq, struct answer *ret, struct err *e)
{
    ret->json = json_pack("{s:s, s:b}", "account", rq->account, "admin", rq->is_admin);
    return ret->json ? 0 : -ENOMEM;
}

static int get_caller(struct request *rq, struct answer *ret, struct err *e)
{
    ret->json = json_pack("{s:s, s:s, s:s}", "account", rq->account, "peer", rq->peer, "session",
                          rq->session);
    return ret->json ? 0 : -ENOMEM;
}

static int get_signed(struct request *rq, struct answer *ret, struct err *e)
{
    char url[BASE_URL_SIZE];
    int r = request_base_url(rq, url, e);
    if (r < 0)
        return r;
    ret->json = json_pack("{s:s, s:s}", "query", rq->raw_query, "url", url);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- bodies ---- */

struct test_timer {
    struct field_given given;
    int64_t seconds;
    int color;
};

struct test_nested {
    struct field_texts command;
    struct test_timer ttl, idle;
    json_t *policy;
};

static const struct field timer_fields[] = {
    {"seconds", FIELD_INTEGER, FIELD_REQUIRED, AT(test_timer, seconds), .min = 1, .max = 100,
     .doc = "How long"},
    {"color", FIELD_CHOICE, 0, AT(test_timer, color), .choices = colors, .doc = "Which"},
    {0},
};

static const struct field nested_fields[] = {
    {"command", FIELD_TEXTS, FIELD_REQUIRED, AT(test_nested, command), .min = 1, .doc = "Words"},
    {"ttl", FIELD_OBJECT, FIELD_NULLABLE, AT(test_nested, ttl), .fields = timer_fields,
     .doc = "May be null"},
    {"idle", FIELD_OBJECT, 0, AT(test_nested, idle), .fields = timer_fields, .doc = "May not"},
    {"policy", FIELD_JSON, FIELD_NULLABLE, AT(test_nested, policy), .doc = "Anything"},
    {0},
};

static json_t *timer_json(const struct test_timer *t)
{
    return json_pack("{s:b, s:b, s:I}", "given", t->given.is_given, "null", t->given.is_null,
                     "seconds", (json_int_t)t->seconds);
}

static int post_nested(struct request *rq, struct answer *ret, struct err *e)
{
    const struct test_nested *in = rq->input.data;
    ret->json =
        json_pack("{s:I, s:o, s:o, s:O?}", "words", (json_int_t)in->command.n, "ttl",
                  timer_json(&in->ttl), "idle", timer_json(&in->idle), "policy", in->policy);
    return ret->json ? 0 : -ENOMEM;
}

struct test_optional {
    int64_t count;
};
static const struct test_optional optional_defaults = {.count = 3};
static const struct field optional_fields[] = {
    {"count", FIELD_INTEGER, 0, AT(test_optional, count), .min = 1, .max = 9, .doc = "How many"},
    {0},
};

static int post_optional(struct request *rq, struct answer *ret, struct err *e)
{
    const struct test_optional *in = rq->input.data;
    ret->json = json_pack("{s:I}", "count", (json_int_t)in->count);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- answers ---- */

static int post_none(struct request *rq, struct answer *ret, struct err *e)
{
    answer_header(ret, "Location", "/test/%s", "made");
    ret->json = json_pack("{}");
    return ret->json ? 0 : -ENOMEM;
}

static int delete_none(struct request *rq, struct answer *ret, struct err *e)
{
    return 0;
}

static int get_conflict(struct request *rq, struct answer *ret, struct err *e)
{
    answer_header(ret, "X-Why", "because");
    ret->json = json_array();
    return err_set(e, ERR_CONFLICT, "not now");
}

static int get_list(struct request *rq, struct answer *ret, struct err *e)
{
    ret->json = json_pack("[{s:i}]", "count", 1);
    return ret->json ? 0 : -ENOMEM;
}

static int get_bad_header(struct request *rq, struct answer *ret, struct err *e)
{
    answer_header(ret, "X-Split", "a\r\nX-Other: b");
    return 0;
}

char test_byte(uint64_t offset)
{
    return (char)('a' + offset % 23);
}

static int make_file(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    auto_buf struct buf b = {0};
    char *room = buf_reserve(&b, TEST_FILE_BYTES);
    for (uint64_t i = 0; i < TEST_FILE_BYTES; i++)
        room[i] = test_byte(i);
    if (fd >= 0 && fd_write_all(fd, room, TEST_FILE_BYTES) < 0)
        close(TAKE_FD(fd));
    return fd;
}

static int get_file(struct request *rq, struct answer *ret, struct err *e)
{
    struct byte_range range;
    int r = answer_range(rq, TEST_FILE_BYTES, ret, &range, e);
    if (r < 0)
        return r;
    int fd = make_file();
    if (fd < 0)
        return -EIO;
    answer_file(ret, fd, range.offset, range.length);
    return 0;
}

struct test_stream {
    uint64_t at, end;
};

static ssize_t read_stream(void *arg, char *buf, size_t max)
{
    struct test_stream *s = arg;
    size_t n = max < s->end - s->at ? max : (size_t)(s->end - s->at);
    for (size_t i = 0; i < n; i++)
        buf[i] = test_byte(s->at++);
    return n ? (ssize_t)n : ANSWER_STREAM_END;
}

static int start_stream(struct answer *ret, uint64_t from, uint64_t length, uint64_t announced)
{
    struct test_stream *s = calloc(1, sizeof(*s));
    *s = (struct test_stream){from, from + length};
    ret->stream.read = read_stream;
    ret->stream.free = free;
    ret->stream.arg = s;
    ret->stream.has_length = true;
    ret->stream.length = announced;
    return 0;
}

static int get_stream(struct request *rq, struct answer *ret, struct err *e)
{
    struct byte_range range;
    int r = answer_range(rq, TEST_FILE_BYTES, ret, &range, e);
    return r < 0 ? r : start_stream(ret, range.offset, range.length, range.length);
}

static int get_short(struct request *rq, struct answer *ret, struct err *e)
{
    return start_stream(ret, 0, 5, 10);
}

/* ---- uploads ---- */

struct test_upload {
    int64_t fail_at, bytes;
    bool is_right; /* every byte was test_byte */
};

struct upload_query {
    int64_t fail_at;
    bool refuse;
};

static const struct field upload_query[] = {
    {"fail_at", FIELD_INTEGER, 0, AT(upload_query, fail_at), .min = 0, .max = INT64_MAX,
     .doc = "Fails when so many bytes came"},
    {"refuse", FIELD_BOOL, 0, AT(upload_query, refuse), .doc = "Takes nothing"},
    {0},
};

static int upload_write(void *arg, const void *data, size_t len, struct err *e)
{
    struct test_upload *u = arg;
    for (size_t i = 0; i < len; i++)
        u->is_right &= ((const char *)data)[i] == test_byte((uint64_t)u->bytes + i);
    u->bytes += (int64_t)len;
    if (u->fail_at && u->bytes >= u->fail_at)
        return err_set(e, ERR_TOO_LARGE, "enough");
    return 0;
}

static int upload_finish(void *arg, struct answer *ret, struct err *e)
{
    const struct test_upload *u = arg;
    ret->json = json_pack("{s:I, s:b}", "bytes", (json_int_t)u->bytes, "right", u->is_right);
    return ret->json ? 0 : -ENOMEM;
}

static void upload_free(void *arg)
{
    free(arg);
    count(&test_uploads.freed);
}

static int put_upload(struct request *rq, struct upload *ret, struct err *e)
{
    const struct upload_query *q = rq->query.data;
    if (q->refuse)
        return err_set(e, ERR_FORBIDDEN, "not from you");
    count(&test_uploads.begun);
    struct test_upload *u = calloc(1, sizeof(*u));
    *u = (struct test_upload){.fail_at = q->fail_at, .is_right = true};
    *ret = (struct upload){upload_write, upload_finish, upload_free, u};
    return 0;
}

/* ---- WebSockets ---- */

static void flood(struct websocket *ws)
{
    static const char block[65536];
    while (websocket_send_binary(ws, block, sizeof(block)) == 0)
        ;
}

/* Echoes; "close" closes, "flood" sends until nobody takes it. */
static void socket_run(void *arg, struct websocket *ws)
{
    struct websocket_message m;
    while (websocket_read(ws, &m)) {
        if (m.is_text && strcmp(m.data, "close") == 0)
            websocket_close(ws, WEBSOCKET_NORMAL, "exit 0");
        else if (m.is_text && strcmp(m.data, "leave") == 0)
            return;
        else if (m.is_text && strcmp(m.data, "flood") == 0)
            flood(ws);
        else if (m.is_text)
            websocket_send_text(ws, m.data, m.len);
        else
            websocket_send_binary(ws, m.data, m.len);
    }
}

static void socket_stop(void *arg)
{
    count(&test_sessions_stopped);
}

static void socket_free(void *arg)
{
    count(&test_sessions.freed);
}

static int get_socket(struct request *rq, struct websocket_session *ret, struct err *e)
{
    const struct upload_query *q = rq->query.data;
    if (q->refuse)
        return err_set(e, ERR_FORBIDDEN, "not from you");
    count(&test_sessions.begun);
    *ret = (struct websocket_session){socket_run, socket_stop, socket_free, NULL};
    return 0;
}

/* ---- rows ---- */

static const struct route_success file_others[] = {
    {206, NULL, "application/octet-stream", "The part that was asked for"},
    {200, optional_fields, NULL, "What it is"},
    {204, NULL, "", "Nothing"},
    {0},
};
static const int file_errors[] = {400, 416, 0};

#define ROW(m, p, op) .method = ROUTE_##m, .path = p, .operation = op, .dialect = &test_dialect

const struct route test_rows[] = {
    {ROW(GET, "/test/query", "testQuery"), .handler = get_query, .query = query_fields,
     .query_bytes = sizeof(struct test_query), .query_defaults = &query_defaults,
     .doc = "Says what it was asked"},
    {ROW(GET, "/test/bare", "testBare"), .handler = get_list, .query = no_fields,
     .doc = "Takes no parameters"},
    {ROW(GET, "/test/account", "testAccount"), .handler = get_account, .flags = ROUTE_ACCOUNT,
     .doc = "Whose key it is"},
    {ROW(POST, "/test/open", "testOpen"), .handler = get_signed, .flags = ROUTE_OPEN,
     .doc = "Needs no key"},
    {ROW(GET, "/test/admin", "testAdmin"), .handler = get_account, .flags = ROUTE_ADMIN,
     .doc = "The same for admins"},
    {ROW(GET, "/test/signed", "testSigned"), .handler = get_signed, .flags = ROUTE_SIGNED,
     .doc = "Says how it was called"},
    {ROW(POST, "/test/nested/{id}", "testNested"), .handler = post_nested, .request = nested_fields,
     .input_bytes = sizeof(struct test_nested), .response = nested_fields,
     .doc = "Says what it was given"},
    {ROW(POST, "/test/optional", "testOptional"), .handler = post_optional,
     .request = optional_fields, .input_bytes = sizeof(struct test_optional),
     .input_defaults = &optional_defaults, .response = optional_fields,
     .flags = ROUTE_BODY_OPTIONAL, .doc = "Needs no body"},
    {ROW(POST, "/test/none", "testCreate"), .handler = post_none, .success = 201,
     .doc = "Takes no body"},
    {ROW(DELETE, "/test/none", "testDelete"), .handler = delete_none, .success = 204,
     .content_type = "", .doc = "Answers without one"},
    {ROW(GET, "/test/conflict", "testConflict"), .handler = get_conflict, .doc = "Fails"},
    {ROW(GET, "/test/list", "testList"), .handler = get_list, .response = optional_fields,
     .flags = ROUTE_LIST, .doc = "Answers with an array"},
    {ROW(GET, "/test/bad-header", "testBadHeader"), .handler = get_bad_header,
     .doc = "Tries to add a header in a header"},
    {ROW(GET, "/test/file", "testFile"), .handler = get_file,
     .content_type = "application/octet-stream", .others = file_others, .errors = file_errors,
     .doc = "A file"},
    {ROW(GET, "/test/stream", "testStream"), .handler = get_stream,
     .content_type = "application/octet-stream", .doc = "The same bytes as they come"},
    {ROW(GET, "/test/short", "testShort"), .handler = get_short,
     .content_type = "application/octet-stream", .doc = "Fewer bytes than announced"},
    {ROW(PUT, "/test/upload", "testUpload"), .upload = put_upload, .query = upload_query,
     .query_bytes = sizeof(struct upload_query), .success = 201, .doc = "Takes anything"},
    {ROW(GET, "/test/socket", "testSocket"), .websocket = get_socket, .query = upload_query,
     .query_bytes = sizeof(struct upload_query), .doc = "Echoes"},
    {ROW(GET, "/test/account-socket", "testAccountSocket"), .websocket = get_socket,
     .query = upload_query, .query_bytes = sizeof(struct upload_query), .flags = ROUTE_ACCOUNT,
     .doc = "The same for accounts"},
    {ROW(GET, "/test/caller", "testCaller"), .handler = get_caller, .flags = ROUTE_ACCOUNT,
     .doc = "Who it is, and from where"},
    {ROW(POST, "/test/caller", "testChange"), .handler = get_caller, .flags = ROUTE_ACCOUNT,
     .rate_per_min = 3, .doc = "Likewise; may change something"},
    {ROW(GET, "/test/v1/signed", "testMounted"), .handler = get_signed, .flags = ROUTE_SIGNED,
     .doc = "As another dialect's path where this one is mounted"},
    /* An operation of this name is in another dialect too. */
    {ROW(POST, "/test/limited", "execute"), .handler = post_optional, .request = optional_fields,
     .input_bytes = sizeof(struct test_optional), .input_defaults = &optional_defaults,
     .response = optional_fields, .rate_per_min = 2, .doc = "Not often"},
    {0},
};

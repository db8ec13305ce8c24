/* SPDX-License-Identifier: Apache-2.0 */

/* Bodies that are taken as they come. */

#include "api/api_test.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/limits.h"

static void send_head(int fd, const char *query, const char *headers)
{
    auto_buf struct buf b = {0};
    buf_printf(&b, "PUT /test/upload%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", query, headers);
    client_send(fd, b.data, b.len);
}

static void send_length(int fd, const char *query, const char *more, unsigned long long length)
{
    char headers[128];
    snprintf(headers, sizeof(headers), "Content-Length: %llu\r\n%s", length, more);
    send_head(fd, query, headers);
}

/* Bytes from `offset` on, as the row expects them. */
static void send_bytes(int fd, uint64_t offset, size_t len)
{
    auto_free char *data = malloc(len);
    for (size_t i = 0; i < len; i++)
        data[i] = test_byte(offset + i);
    client_send(fd, data, len);
}

static void got(int fd, int status, unsigned long long bytes)
{
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    if (r.status != status)
        fail_msg("%d %s", r.status, buf_str(&r.body));
    assert_int_equal(json_integer_value(json_object_get(r.json, "bytes")), bytes);
    assert_true(json_is_true(json_object_get(r.json, "right")));
}

static void says(int fd, int status, const char *text)
{
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, status);
    assert_non_null(strstr(buf_str(&r.body), text));
}

static void test_larger_than_any_other_body(void **state)
{
    const size_t len = HTTP_DRAIN_MAX_BYTES + 12345;
    int before = test_uploads.begun;
    auto_close int fd = client_connect(*state);
    send_length(fd, "", "", len);
    send_bytes(fd, 0, len);
    got(fd, 201, len);
    test_count_wait(&test_uploads, before + 1);
    /* And another one on the same connection. */
    send_length(fd, "", "", 3);
    send_bytes(fd, 0, 3);
    got(fd, 201, 3);
    test_count_wait(&test_uploads, before + 2);
}

static void test_bodies_are_not_counted_together(void **state)
{
    const struct server_config config = {.bodies_max_bytes = 100};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_close int fd = client_connect(&ts);
    send_length(fd, "", "", 100000);
    send_bytes(fd, 0, 100000);
    got(fd, 201, 100000);
    test_server_stop(&ts);
}

static void test_chunked(void **state)
{
    auto_close int fd = client_connect(*state);
    send_head(fd, "", "Transfer-Encoding: chunked\r\n");
    uint64_t sent = 0;
    for (size_t len = 1; len < 100000; len *= 3) {
        char size[32];
        snprintf(size, sizeof(size), "%zx\r\n", len);
        client_send_text(fd, size);
        send_bytes(fd, sent, len);
        client_send_text(fd, "\r\n");
        sent += len;
    }
    client_send_text(fd, "0\r\n\r\n");
    got(fd, 201, sent);
}

static void test_empty(void **state)
{
    auto_close int fd = client_connect(*state);
    send_length(fd, "", "", 0);
    got(fd, 201, 0);
    send_head(fd, "", "");
    got(fd, 201, 0);
}

static void test_continue_is_said_after_the_headers_were_taken(void **state)
{
    auto_close int fd = client_connect(*state);
    send_length(fd, "", "Expect: 100-continue\r\n", 5);
    auto_reply struct reply r = {0};
    auto_buf struct buf rest = {0};
    client_read_head(fd, &r, &rest);
    assert_int_equal(r.status, 100);
    send_bytes(fd, 0, 5);
    got(fd, 201, 5);
}

static void test_refused_by_the_headers(void **state)
{
    int before = test_uploads.begun;
    /* A client that asks first, and one whose body would be too much to read away: at once. */
    auto_close int asks = client_connect(*state);
    send_length(asks, "?refuse=1", "Expect: 100-continue\r\n", 5);
    says(asks, 403, "not from you");
    auto_close int large = client_connect(*state);
    send_length(large, "?refuse=1", "", HTTP_DRAIN_MAX_BYTES + 1);
    says(large, 403, "not from you");
    /* Others when they are done; their connection goes on. */
    auto_close int sends = client_connect(*state);
    send_length(sends, "?refuse=1", "", 5);
    send_bytes(sends, 0, 5);
    says(sends, 403, "not from you");
    send_length(sends, "?bogus", "", 5);
    send_bytes(sends, 0, 5);
    says(sends, 400, "unknown parameter");
    send_length(sends, "", "", 5);
    send_bytes(sends, 0, 5);
    got(sends, 201, 5);
    test_count_wait(&test_uploads, before + 1);
}

static void test_failing_in_the_middle(void **state)
{
    int before = test_uploads.begun;
    auto_close int fd = client_connect(*state);
    send_length(fd, "?fail_at=1000", "", 1000000);
    send_bytes(fd, 0, 1000);
    test_count_wait(&test_uploads,
                    before + 1); /* what it held is given back before the rest has come */
    send_bytes(fd, 1000, 999000);
    says(fd, 413, "enough");
    send_length(fd, "", "", 1);
    send_bytes(fd, 0, 1);
    got(fd, 201, 1);
}

/* The client hears of it while it still sends, and is cut when it does not stop. */
static void told_while_it_sends(int fd)
{
    says(fd, 413, "enough");
    send_bytes(fd, 0, 2 * HTTP_DRAIN_MAX_BYTES);
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_int_equal(all.len, 0);
}

static void test_failing_with_too_much_to_come(void **state)
{
    int before = test_uploads.begun;
    auto_close int fd = client_connect(*state);
    send_length(fd, "?fail_at=1", "", 3 * HTTP_DRAIN_MAX_BYTES);
    send_bytes(fd, 0, 1000);
    told_while_it_sends(fd);
    test_count_wait(&test_uploads, before + 1);
}

static void test_failing_when_nobody_knows_how_much_comes(void **state)
{
    int before = test_uploads.begun;
    auto_close int fd = client_connect(*state), ends = client_connect(*state);
    send_head(fd, "?fail_at=1", "Transfer-Encoding: chunked\r\n");
    client_send_text(fd, "ffffffff\r\nabc");
    told_while_it_sends(fd);
    send_head(ends, "?fail_at=1", "Transfer-Encoding: chunked\r\n");
    client_send_text(ends, "3\r\nabc\r\n0\r\n\r\n");
    says(ends, 413, "enough");
    auto_buf struct buf all = {0};
    client_read_all(ends, &all);
    assert_int_equal(all.len, 0);
    test_count_wait(&test_uploads, before + 2);
}

static void test_a_client_that_goes_away(void **state)
{
    int before = test_uploads.begun;
    int fd = client_connect(*state);
    send_length(fd, "", "", 1000);
    send_bytes(fd, 0, 500);
    close(fd);
    test_count_wait(&test_uploads, before + 1);
}

/* Bytes that come too slowly do not keep a thread. */
static void test_a_client_that_trickles_is_cut(void **state)
{
    const struct server_config config = {.request_timeout_s = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    int before = test_uploads.begun;
    auto_close int fd = client_connect(&ts);
    send_length(fd, "", "", 1000);
    char byte;
    const struct timeval tick = {.tv_usec = 50000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
    /* recv() is the clock: until the server has had enough. */
    for (uint64_t i = 0; recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN; i++)
        send_bytes(fd, i, 1);
    test_count_wait(&test_uploads, before + 1);
    test_server_stop(&ts);
}

static int setup(void **state)
{
    route_add_rows(test_rows);
    return test_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_larger_than_any_other_body),
        cmocka_unit_test(test_bodies_are_not_counted_together),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_continue_is_said_after_the_headers_were_taken),
        cmocka_unit_test(test_refused_by_the_headers),
        cmocka_unit_test(test_failing_in_the_middle),
        cmocka_unit_test(test_failing_with_too_much_to_come),
        cmocka_unit_test(test_failing_when_nobody_knows_how_much_comes),
        cmocka_unit_test(test_a_client_that_goes_away),
        cmocka_unit_test(test_a_client_that_trickles_is_cut),
    };
    return cmocka_run_group_tests(tests, setup, test_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upgrade.h"

#include <errno.h>

#include "base/base64.h"
#include "base/test.h"

/* The example of RFC 6455, section 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define RIGHT                                                                           \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n"

static int parse(const char *text, struct upgrade_answer *ret)
{
    return upgrade_parse(text, strlen(text), KEY, ret);
}

static void test_accept(void **state)
{
    auto_buf struct buf accept = {0};
    assert_int_equal(upgrade_accept(KEY, &accept), 0);
    assert_string_equal(buf_str(&accept), ACCEPT);
}

static void test_key(void **state)
{
    char a[UPGRADE_KEY_SIZE], b[UPGRADE_KEY_SIZE];
    auto_buf struct buf bytes = {0};
    upgrade_key(a);
    upgrade_key(b);
    assert_string_not_equal(a, b);
    assert_int_equal(base64_decode(a, strlen(a), &bytes), 0);
    assert_int_equal(bytes.len, 16);
}

static void test_right(void **state)
{
    static const char *const texts[] = {
        RIGHT,
        "HTTP/1.1 101 x\r\nupgrade:  WebSocket \r\nX: y\r\nCONNECTION: keep-alive, upgrade\r\n"
        "sec-websocket-accept:" ACCEPT "\r\n\r\n\x81\x01x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct upgrade_answer a = {0};
        assert_int_equal(parse(texts[i], &a), 0);
        assert_int_equal(a.status, 101);
        assert_true(a.is_right);
        assert_int_equal(a.head_len, strstr(texts[i], "\r\n\r\n") + 4 - texts[i]);
    }
}

static void test_not_right(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT
        "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgraded\r\n"
        "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 200 x\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct upgrade_answer a = {0};
        assert_int_equal(parse(texts[i], &a), 0);
        assert_false(a.is_right);
    }
}

static void test_length(void **state)
{
    struct upgrade_answer a = {0};
    assert_int_equal(parse("HTTP/1.1 404 x\r\nContent-Length: 12\r\n\r\n", &a), 0);
    assert_int_equal(a.status, 404);
    assert_true(a.has_body_len && a.body_len == 12);
    assert_int_equal(parse("HTTP/1.1 404 x\r\nContent-Length: -1\r\n\r\n", &a), 0);
    assert_false(a.has_body_len);
    assert_int_equal(parse("HTTP/1.1 404 x\r\nContent-Length: 1x\r\n\r\n", &a), 0);
    assert_false(a.has_body_len);
}

static void test_no_head(void **state)
{
    static const char *const unfinished[] = {"", "H", "HTTP/1.1 101 x\r\n",
                                             "HTTP/1.1 101 x\r\nA: b\r\n\r"};
    static const char *const bad[] = {"\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
                                      "HTTP/1.1 10\r\n\r\n", "SSH-2.0\r\n\r\n"};
    struct upgrade_answer a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(unfinished); i++)
        assert_int_equal(parse(unfinished[i], &a), -EAGAIN);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse(bad[i], &a), -EPROTO);
    auto_free char *endless = calloc(1, UPGRADE_HEAD_MAX_BYTES);
    assert_int_equal(upgrade_parse(endless, UPGRADE_HEAD_MAX_BYTES - 1, KEY, &a), -EAGAIN);
    assert_int_equal(upgrade_parse(endless, UPGRADE_HEAD_MAX_BYTES, KEY, &a), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept), cmocka_unit_test(test_key),
        cmocka_unit_test(test_right),  cmocka_unit_test(test_not_right),
        cmocka_unit_test(test_length), cmocka_unit_test(test_no_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

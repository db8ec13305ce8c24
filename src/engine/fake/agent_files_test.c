/* SPDX-License-Identifier: Apache-2.0 */

/* What the fake guest's agent answers about files, by docs/agent-protocol.md, over its real socket.
 */

#include "base/test.h"

#include "base/limits.h"
#include "engine/fake/test_engine.h"
#include "wire/guest_stat.h"

static void expect(struct fixture *f, const char *request, int status, const char *answer)
{
    auto_buf struct buf got = {0};
    test_guest_ask(&f->guest, request, status, &got);
    if (!strstr(buf_str(&got), answer))
        fail_msg("%s: %s", request, buf_str(&got));
}

static void expect_exactly(struct fixture *f, const char *request, const char *answer)
{
    auto_buf struct buf got = {0};
    test_guest_ask(&f->guest, request, 200, &got);
    assert_string_equal(answer, buf_str(&got));
}

static void put(struct fixture *f, const char *query, int status, const char *text)
{
    char url[256];
    struct test_call c = {.guest = &f->guest};
    path_printf(url, sizeof(url), "/v1/files?path=%s", query);
    test_call_open(&c, "PUT", url, text, strlen(text));
    test_call_wait(&c, false);
    if (c.status != status)
        fail_msg("%s: %d %s", query, c.status, buf_str(&c.answer));
    test_call_done(&c);
}

static void test_parts_of_files(void **state)
{
    struct fixture *f = *state;
    test_boot_connected(f);
    put(f, "/work/a", 201, "0123456789");
    expect_exactly(f, "GET /v1/files?path=/work/a", "0123456789");
    expect_exactly(f, "GET /v1/files?path=/work/a&offset=4", "456789");
    expect_exactly(f, "GET /v1/files?path=/work/a&offset=4&length=3", "456");
    expect_exactly(f, "GET /v1/files?path=/work/a&length=2", "01");
    expect_exactly(f, "GET /v1/files?path=/work/a&offset=9&length=9", "9");
    expect_exactly(f, "GET /v1/files?path=/work/a&offset=10", "");
    expect_exactly(f, "GET /v1/files?path=/work/a&offset=99&length=1", "");
    expect_exactly(f, "GET /v1/files?path=/work/a&length=0", "");
    expect(f, "GET /v1/files?path=/work/a&offset=-1", 400, "\"field\":\"offset\"");
    expect(f, "GET /v1/files?path=/work", 409, "not a regular file");
    expect(f, "GET /v1/files?path=/", 409, "not a regular file");
    expect(f, "GET /v1/files?path=/work/no", 404, "no such file");
}

static void test_what_files_are(void **state)
{
    struct fixture *f = *state;
    struct guest_stat st;
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    test_boot_connected(f);
    put(f, "/work/d/x%20y&mode=0750&uid=5&gid=6&parents=1", 201, "12345");
    test_guest_ask(&f->guest, "GET /v1/stat?path=/work/d/x%20y", 200, &json);
    assert_int_equal(0, guest_stat_decode(json.data, json.len, &st, &e));
    assert_int_equal(GUEST_FILE, st.type);
    assert_int_equal(5, st.size);
    assert_int_equal(0750, st.mode);
    assert_int_equal(5, st.uid);
    assert_int_equal(6, st.gid);
    assert_true(st.mtime_ms > 1700000000000);
    expect(f, "GET /v1/stat?path=/work/d", 200,
           "\"type\":\"dir\",\"size\":0,\"mode\":493,\"uid\":5");
    expect(f, "GET /v1/stat?path=/", 200, "\"type\":\"dir\"");
    expect(f, "GET /v1/stat?path=/no", 404, "no such file");
    expect(f, "GET /v1/stat", 400, "\"field\":\"path\"");
    expect(f, "GET /v1/stat?path=work", 400, "\"field\":\"path\"");
    expect(f, "GET /v1/stat?path=/work&colour=red", 400, "\"field\":\"colour\"");
}

static void test_directories_are_listed(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf json = {0};
    auto_buf struct buf script = {0};
    struct err e = ERR_INIT;
    json_t *list = NULL;
    test_boot_connected(f);
    put(f, "/work/d/b&parents=1", 201, "1");
    put(f, "/work/d/sub/c&parents=1", 201, "2");
    put(f, "/work/d-x", 201, "3");
    test_guest_ask(&f->guest, "GET /v1/list?path=/work/d", 200, &json);
    assert_int_equal(0, guest_list_decode(json.data, json.len, &list, &e));
    assert_int_equal(2, json_array_size(list));
    assert_string_equal("b", json_string_value(json_object_get(json_array_get(list, 0), "name")));
    assert_string_equal("dir", json_string_value(json_object_get(json_array_get(list, 1), "type")));
    json_decref(list);
    test_run(f, "mkdir empty", "");
    expect_exactly(f, "GET /v1/list?path=/work/empty", "{\"entries\":[]}");
    expect(f, "GET /v1/list?path=/", 200, "\"name\":\"work\"");
    expect(f, "GET /v1/list?path=/work/d/b", 409, "Not a directory");
    expect(f, "GET /v1/list?path=/no", 404, "no such file");
    for (int i = 0; i <= AGENT_LIST_MAX; i++)
        buf_printf(&script, "put many/%d\n", i);
    test_run(f, buf_str(&script), "");
    expect(f, "GET /v1/list?path=/work/many", 413, "more than 10000 entries");
}

static void test_files_are_removed(void **state)
{
    struct fixture *f = *state;
    test_boot_connected(f);
    put(f, "/work/d/sub/c&parents=1", 201, "2");
    put(f, "/work/e", 201, "3");
    expect_exactly(f, "DELETE /v1/files?path=/work/e", "{}");
    expect(f, "DELETE /v1/files?path=/work/e", 404, "no such file");
    expect_exactly(f, "DELETE /v1/files?path=/work/d", "{}");
    expect(f, "GET /v1/stat?path=/work/d/sub/c", 404, "no such file");
    expect(f, "DELETE /v1/files?path=/", 409, "busy");
}

static void test_places_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    test_boot_connected(f);
    put(f, "/work/no/x", 404, "no parents were asked for");
    put(f, "/work", 409, "a directory is there");
    put(f, "/work/a", 201, "a file");
    put(f, "/work/a/b&parents=1", 409, "below a file");
    put(f, "/work/x&mode=9", 400, "no octal number");
    put(f, "/work/x&parents=2", 400, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ENGINE(test_parts_of_files),         TEST_ENGINE(test_what_files_are),
        TEST_ENGINE(test_directories_are_listed), TEST_ENGINE(test_files_are_removed),
        TEST_ENGINE(test_places_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

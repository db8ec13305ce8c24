/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/guest_stat.h"

#include <errno.h>

#include "base/limits.h"
#include "base/test.h"
#include "wire/field.h"

#define REST "\"size\":1,\"mode\":420,\"uid\":2,\"gid\":3,\"mtime_ms\":-4"

static void test_round_trip(void **state)
{
    const struct guest_stat in = {GUEST_LINK, INT64_MAX, 07777, UINT32_MAX, 7, -5};
    struct guest_stat out;
    auto_buf struct buf json = {0};
    assert_int_equal(0, guest_stat_encode(&in, NULL, &json));
    assert_int_equal(0, guest_stat_decode(json.data, json.len, &out, NULL));
    assert_int_equal(GUEST_LINK, out.type);
    assert_true(out.size == INT64_MAX);
    assert_int_equal(07777, out.mode);
    assert_true(out.uid == UINT32_MAX);
    assert_int_equal(7, out.gid);
    assert_int_equal(-5, out.mtime_ms);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *json;
        const char *field;
    } rows[] = {
        {"[]", ""},
        {"{" REST "}", "type"},
        {"{\"type\":\"socket\"," REST "}", "type"},
        {"{\"type\":\"file\",\"size\":-1}", "size"},
        {"{\"type\":\"file\",\"size\":1,\"mode\":4096}", "mode"},
        {"{\"type\":\"file\",\"size\":1,\"mode\":0,\"uid\":-1}", "uid"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest_stat out;
        struct err e = ERR_INIT;
        assert_int_equal(-EINVAL, guest_stat_decode(rows[i].json, strlen(rows[i].json), &out, &e));
        assert_string_equal(rows[i].field, e.field);
    }
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        const char *want;
    } rows[] = {
        {"plain", "plain"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8f\x9d", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8f\x9d"},
        {"a\xff z", "a\xef\xbf\xbd z"},
        {"\x01\"\\\n\x7f", "\x01\"\\\n\x7f"},
        {"cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest_stat st = {0};
        auto_buf struct buf json = {0};
        auto_json json_t *obj = NULL;
        assert_int_equal(0, guest_stat_encode(&st, rows[i].name, &json));
        assert_int_equal(0, field_parse(json.data, json.len, &obj, NULL));
        assert_string_equal(rows[i].want, json_string_value(json_object_get(obj, "name")));
    }
}

static void test_list(void **state)
{
    static const char json[] = "{\"entries\":[{\"name\":\"a\",\"type\":\"dir\"," REST
                               ",\"news\":1},{\"name\":\"b\",\"type\":\"file\"," REST "}]}";
    auto_json json_t *list = NULL;
    assert_int_equal(0, guest_list_decode(json, strlen(json), &list, NULL));
    assert_int_equal(2, json_array_size(list));
    json_t *a = json_array_get(list, 0);
    assert_string_equal("a", json_string_value(json_object_get(a, "name")));
    assert_string_equal("dir", json_string_value(json_object_get(a, "type")));
    assert_int_equal(7, json_object_size(a)); /* what is not known does not get through */
}

static void test_list_refusals(void **state)
{
    static const struct {
        const char *entries;
        const char *field;
    } rows[] = {
        {"1", "entries"},
        {"[1]", "entries"},
        {"[{\"type\":\"dir\"," REST "}]", "name"},
        {"[{\"name\":\"\",\"type\":\"dir\"," REST "}]", "name"},
        {"[{\"name\":\"..\",\"type\":\"dir\"," REST "}]", "name"},
        {"[{\"name\":\"a/b\",\"type\":\"dir\"," REST "}]", "name"},
        {"[{\"name\":\"a\",\"type\":\"dir\"}]", "size"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_buf struct buf json = {0};
        auto_json json_t *list = NULL;
        struct err e = ERR_INIT;
        buf_printf(&json, "{\"entries\":%s}", rows[i].entries);
        assert_int_equal(-EINVAL, guest_list_decode(json.data, json.len, &list, &e));
        assert_string_equal(rows[i].field, e.field);
        assert_null(list);
    }
}

static void test_list_too_long(void **state)
{
    auto_buf struct buf json = {0};
    auto_json json_t *list = NULL;
    struct err e = ERR_INIT;
    buf_append_str(&json, "{\"entries\":[1");
    for (int i = 0; i < AGENT_LIST_MAX; i++)
        buf_append_str(&json, ",1");
    buf_append_str(&json, "]}");
    assert_int_equal(-EINVAL, guest_list_decode(json.data, json.len, &list, &e));
    assert_string_equal("entries must be a list of at most 10000", e.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_refusals), cmocka_unit_test(test_list_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

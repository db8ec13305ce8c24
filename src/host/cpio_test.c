/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cpio.h"

#include <errno.h>

#include "base/test.h"

static void assert_holds(const struct buf *b, const char *name, const char *content)
{
    const void *data;
    size_t len;
    assert_true(cpio_find(buf_str(b), b->len, name, &data, &len));
    assert_int_equal(strlen(content), len);
    assert_memory_equal(content, data, len);
}

static void make(struct buf *b)
{
    assert_int_equal(0, cpio_add(b, "dev", 0755, NULL, 0));
    assert_int_equal(0, cpio_add(b, "init", 0755, "agent", 5));
    assert_int_equal(0, cpio_add(b, "empty", 0644, "", 0));
    assert_int_equal(0, cpio_add(b, "modules/00-a.ko", 0644, "abcd", 4));
    assert_int_equal(0, cpio_end(b));
}

static void test_what_is_put_in_is_found(void **state)
{
    auto_buf struct buf b = {0};
    make(&b);
    assert_int_equal(0, b.len % 512);
    assert_holds(&b, "init", "agent");
    assert_holds(&b, "empty", "");
    assert_holds(&b, "modules/00-a.ko", "abcd");
    const void *data;
    size_t len;
    assert_false(cpio_find(b.data, b.len, "dev", &data, &len)); /* a directory */
    assert_false(cpio_find(b.data, b.len, "none", &data, &len));
}

/* Cut anywhere, nothing is found that is not whole. */
static void test_a_broken_archive(void **state)
{
    auto_buf struct buf b = {0};
    const void *data;
    size_t len, whole = 0;
    make(&b);
    for (size_t n = 0; n <= b.len; n++) {
        auto_free char *copy = malloc(n + 1);
        memcpy(copy, b.data, n);
        if (!cpio_find(copy, n, "init", &data, &len))
            continue;
        assert_int_equal(5, len);
        assert_memory_equal("agent", data, 5);
        whole += 1;
    }
    assert_in_range(whole, 1, b.len - 2 * 110 - 5); /* headers of "dev" and "init" */
    memset(b.data + 14, 'z', 8);                    /* the mode of the first entry */
    assert_false(cpio_find(b.data, b.len, "init", &data, &len));
}

static void test_no_room(void **state)
{
    auto_buf struct buf b = {.max_bytes = 64};
    assert_int_equal(-ENOMEM, cpio_add(&b, "init", 0755, "agent", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_in_is_found),
        cmocka_unit_test(test_a_broken_archive),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

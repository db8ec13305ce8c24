/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/test.h"
#include "host/host.h"

static void test_rows(void **state)
{
    const struct language *l;
    size_t n = 0;
    for (; (l = host_language(n)); n++) {
        assert_true(l->name[0] && l->title[0] && l->image[0] && l->file[0] && l->version[0]);
        assert_int_equal(l->extension[0], '.');
        assert_non_null(strstr(l->hello, "Hello, World!"));
        /* What is compiled runs its product, what is not runs its file. */
        assert_int_equal(l->compile == NULL, strstr(l->run, "{file}") != NULL);
        assert_in_range(l->memory_mib, VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB);
        assert_ptr_equal(host_language_find(l->name), l);
        if (n)
            assert_true(strcmp(host_language(n - 1)->name, l->name) < 0);
    }
    assert_true(n >= 6);
    assert_null(host_language(n));
}

/* Neither a name nor an alias may mean two languages. */
static void test_aliases(void **state)
{
    const struct language *l;
    for (size_t i = 0; (l = host_language(i)); i++) {
        char words[128];
        snprintf(words, sizeof(words), "%s", l->aliases);
        for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
            assert_ptr_equal(host_language_find(w), l);
    }
    assert_ptr_equal(host_language_find("Python"), host_language_find("python"));
    assert_null(host_language_find(""));
    assert_null(host_language_find("pyt"));
    assert_null(host_language_find("python "));
    assert_null(host_language_find("sh shell"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_aliases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

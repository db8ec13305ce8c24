/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include "base/sha1.h"

static void is(const char *text, size_t len, const char *want)
{
    unsigned char sum[SHA1_BYTES];
    char hex[2 * SHA1_BYTES + 1];
    sha1(text, len, sum);
    for (int i = 0; i < SHA1_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    assert_string_equal(hex, want);
}

/* The standard's own examples, and the lengths around which the padding changes. */
static void test_known_sums(void **state)
{
    is("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    is("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
       "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    char a[1000];
    memset(a, 'a', sizeof(a));
    is(a, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    is(a, 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    is(a, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    is(a, 1000, "291e9a6c66994949b57ba5e650361e98fc36b1ba");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

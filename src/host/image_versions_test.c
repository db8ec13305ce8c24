/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/test.h"
#include "host/image_versions.h"

static void put(const char *path, const char *text)
{
    char next[128];
    snprintf(next, sizeof(next), "%s.new", path);
    auto_fclose FILE *f = fopen(next, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    assert_int_equal(fflush(f), 0);
    assert_int_equal(rename(next, path), 0);
}

static void expect(struct image_versions *v, const char *path, const char *language,
                   const char *version)
{
    char got[LANGUAGE_VERSION_SIZE] = "?";
    image_versions_get(v, path, language, got);
    assert_string_equal(got, version);
}

static struct image_versions *versions(void)
{
    struct image_versions *v = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(image_versions_new(&v, &e), 0);
    return v;
}

/* As images/build writes it; then anew, then no more. */
static void test_read(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct image_versions *v = versions();
    char path[64];
    snprintf(path, sizeof(path), "%s/image.json", dir);
    expect(v, path, "python", "");
    put(path, "{\"name\": \"x\", \"packages\": 3,\n \"versions\": {\"python\": \"3.11.2\", "
              "\"c++\": \"12.2.0-14+deb12u1~x_A\"}}");
    expect(v, path, "python", "3.11.2");
    expect(v, path, "c++", "12.2.0-14+deb12u1~x_A");
    expect(v, path, "Python", "");
    expect(v, path, "perl", "");
    put(path, "{\"versions\": {\"python\": \"3.12\"}}");
    expect(v, path, "python", "3.12");
    put(path, "{\"name\": \"of a former builder\"}");
    expect(v, path, "python", "");
    assert_int_equal(unlink(path), 0);
    expect(v, path, "python", "");
    image_versions_free(v);
    image_versions_free(NULL);
}

/* What is known is not read again: the same inode, size and time say nothing new. */
static void test_kept(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct image_versions *v = versions();
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "%s/image.json", dir);
    put(path, "{\"versions\": {\"python\": \"1.1\"}}");
    expect(v, path, "python", "1.1");
    assert_int_equal(stat(path, &st), 0);
    {
        auto_fclose FILE *f = fopen(path, "r+");
        assert_non_null(f);
        fputs("{\"versions\": {\"python\": \"2.2\"}}", f);
    }
    const struct timespec times[] = {st.st_mtim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    expect(v, path, "python", "1.1");
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    expect(v, path, "python", "2.2");
    image_versions_free(v);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"versions\": {\"a\": \"1.0\"}",
        "{\"versions\": {\"a\": \"1.0\"}, \"versions\": {}}",
        "{\"versions\": [\"1.0\"]}",
        "{\"versions\": {\"a\": 1.0}}",
        "{\"versions\": {\"a\": \"\"}}",
        "{\"versions\": {\"a\": \"1.0\", \"b\": \"\\u001b[1m\"}}",
        "{\"versions\": {\"a\": \"1.0\", \"b\": \"1\\u0000\"}}",
        "{\"versions\": {\"a\": \"1.0\", \"b\": \"1 2\"}}",
        "{\"versions\": {\"a\": \"1.0\", \"b\": \"12345678901234567890123456789012\"}}",
    };
    auto_test_dir char *dir = test_dir_make();
    struct image_versions *v = versions();
    char path[64];
    snprintf(path, sizeof(path), "%s/image.json", dir);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(path, "{\"versions\": {\"a\": \"0.1\"}}");
        expect(v, path, "a", "0.1");
        put(path, bad[i]);
        expect(v, path, "a", "");
    }
    auto_free char *big = malloc(IMAGE_JSON_MAX_BYTES + 2);
    memset(big, ' ', IMAGE_JSON_MAX_BYTES + 1);
    memcpy(big, "{\"versions\": {\"a\": \"1.0\"}}", 26);
    big[IMAGE_JSON_MAX_BYTES + 1] = '\0';
    put(path, big);
    expect(v, path, "a", "");
    big[IMAGE_JSON_MAX_BYTES] = '\0';
    put(path, big);
    expect(v, path, "a", "1.0");
    image_versions_free(v);
}

/* More files than are kept. */
static void test_many(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct image_versions *v = versions();
    char path[64], text[64], version[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2 * LANGUAGE_IMAGES_MAX; i++) {
            snprintf(path, sizeof(path), "%s/%d", dir, i);
            snprintf(version, sizeof(version), "%d.%d", round, i);
            snprintf(text, sizeof(text), "{\"versions\": {\"a\": \"%s\"}}", version);
            put(path, text);
            expect(v, path, "a", version);
        }
    }
    image_versions_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/web.h"

#include <errno.h>
#include <sys/stat.h>

#include "api/api_test.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

struct site {
    char dir[64];
    struct web *web;
};

static void put(const struct site *s, const char *path, const char *text)
{
    char full[256];
    path_printf(full, sizeof(full), "%s%s", s->dir, path);
    for (char *p = full + strlen(s->dir) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *p = '/';
    }
    assert_int_equal(file_write_atomic(full, text, strlen(text), 0644), 0);
}

static int setup(void **state)
{
    struct site *s = calloc(1, sizeof(*s));
    strcpy(s->dir, "/tmp/holm-web-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    web_free(s->web);
    dir_remove(s->dir);
    free(s);
    return 0;
}

static void load(struct site *s)
{
    struct err e = ERR_INIT;
    put(s, "/index.html", "home");
    put(s, "/docs/index.html", "docs");
    put(s, "/docs/guide.html", "guide");
    put(s, "/assets/app-1.js", "script");
    put(s, "/assets/app-1.js.gz", "packed");
    put(s, "/alone.txt.gz", "alone");
    put(s, "/.hidden", "hidden");
    put(s, "/.git/config", "hidden");
    if (web_new(s->dir, &s->web, &e) < 0)
        fail_msg("%s", e.text);
}

/* `want` NULL: nothing is there. */
static void leads(const struct site *s, const char *path, bool html, const char *want)
{
    struct web_found f;
    bool is_there = web_find(s->web, path, html, &f);
    if (is_there != (want != NULL))
        fail_msg("%s: %s", path, is_there ? f.file->path : "nothing");
    if (want)
        assert_string_equal(f.file->path, want);
    if (want)
        assert_false(f.is_directory);
}

static void test_files_by_their_names(void **state)
{
    struct site *s = *state;
    load(s);
    leads(s, "/index.html", false, "/index.html");
    leads(s, "/docs/guide.html", false, "/docs/guide.html");
    leads(s, "/assets/app-1.js", false, "/assets/app-1.js");
    leads(s, "/alone.txt.gz", false, "/alone.txt.gz");
    leads(s, "/assets/app-1.js.gz", false, NULL);
    leads(s, "/.hidden", false, NULL);
    leads(s, "/.git/config", false, NULL);
    leads(s, "/docs/../index.html", false, NULL);
    leads(s, "/../etc/passwd", false, NULL);
    leads(s, "index.html", false, NULL);
    leads(s, "", false, NULL);
    assert_int_equal(web_count(s->web), 5);
}

static void test_pages_for_people(void **state)
{
    struct site *s = *state;
    load(s);
    leads(s, "/", true, "/index.html");
    leads(s, "/", false, NULL);
    leads(s, "/vms/some/page", true, "/index.html");
    leads(s, "/vms/some/page", false, NULL);
    leads(s, "/docs/", false, "/docs/index.html");
    leads(s, "/docs/nothing", true, "/docs/index.html");
    leads(s, "/docs/nothing/", true, "/docs/index.html");
    leads(s, "/docs/nothing", false, NULL);
    static const char *const apis[] = {"/v1/x",    "/api/v1/x",    "/rds/x",   "/native/x",
                                       "/auth/x",  "/freestyle/x", "/openapi", "/openapi/x.json",
                                       "/metrics", "/health",      "/healthz", "/assets/old.js"};
    for (size_t i = 0; i < ARRAY_SIZE(apis); i++)
        leads(s, apis[i], true, NULL);
}

static void test_a_directory_is_sent_to_its_slash(void **state)
{
    struct site *s = *state;
    struct web_found f;
    load(s);
    assert_true(web_find(s->web, "/docs", false, &f));
    assert_string_equal(f.file->path, "/docs/index.html");
    assert_true(f.is_directory);
    leads(s, "/assets", false, NULL);
}

static void test_what_is_told_of_a_file(void **state)
{
    struct site *s = *state;
    struct web_found f, home;
    load(s);
    assert_true(web_find(s->web, "/assets/app-1.js", false, &f));
    assert_string_equal(f.file->type, "text/javascript; charset=utf-8");
    assert_true(f.file->is_immutable);
    assert_memory_equal(f.file->data, "script", f.file->len);
    assert_int_equal(f.file->gzip_len, 6);
    assert_memory_equal(f.file->gzip, "packed", 6);
    assert_true(web_find(s->web, "/", true, &home));
    assert_string_equal(home.file->type, "text/html; charset=utf-8");
    assert_false(home.file->is_immutable);
    assert_null(home.file->gzip);
    assert_string_not_equal(f.file->etag, home.file->etag);
    assert_true(web_find(s->web, "/alone.txt.gz", false, &f));
    assert_string_equal(f.file->type, "application/octet-stream");
}

static void test_etags(void **state)
{
    const struct web_file f = {.etag = "\"12ab\""};
    static const char *const same[] = {"\"12ab\"",        "W/\"12ab\"",           "\"12ab-gz\"",
                                       "\"x\", \"12ab\"", "\"x\",W/\"12ab-gz\" ", "*"};
    static const char *const others[] = {"",           "\"12a\"",      "\"12abc\"", "12ab",
                                         "\"12ab",     "W/\"\"",       "\"x\"",     "W/",
                                         "\"12ab-g\"", "\"12ab-gzz\"", ",,",        "**"};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        if (!web_etag_matches(&f, same[i]))
            fail_msg("%s", same[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (web_etag_matches(&f, others[i]))
            fail_msg("%s", others[i]);
    }
    assert_false(web_etag_matches(&f, NULL));
}

static void test_who_takes_gzip(void **state)
{
    static const char *const yes[] = {"gzip", "br, gzip", "GZIP;q=0.5", "deflate,gzip ; q=1", "*"};
    static const char *const no[] = {"", "br", "gzip;q=0", "gzip; q=0.000", "gzipped", "*;q=0"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        assert_true(web_accepts_gzip(yes[i]));
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        assert_false(web_accepts_gzip(no[i]));
    assert_false(web_accepts_gzip(NULL));
}

static void refused(struct site *s, enum err_class class, const char *words)
{
    struct err e = ERR_INIT;
    assert_true(web_new(s->dir, &s->web, &e) < 0);
    assert_int_equal(e.class, class);
    assert_non_null(strstr(e.text, words));
    assert_null(s->web);
}

static void test_what_is_no_dashboard(void **state)
{
    struct site *s = *state;
    put(s, "/other.html", "x");
    refused(s, ERR_NOT_FOUND, "has no index.html");
    strcat(s->dir, "/none");
    refused(s, ERR_NOT_FOUND, "No such file");
    s->dir[strlen(s->dir) - strlen("/none")] = '\0';
}

static void test_bounds(void **state)
{
    struct site *s = *state;
    char path[256];
    for (int i = 0; i <= WEB_FILES_MAX; i++) {
        snprintf(path, sizeof(path), "/many/%d", i);
        put(s, path, "x");
    }
    refused(s, ERR_TOO_LARGE, "more than 512 files");
    snprintf(path, sizeof(path), "%s/many", s->dir);
    dir_remove(path);
    snprintf(path, sizeof(path), "%s/big", s->dir);
    put(s, "/big", "");
    assert_int_equal(truncate(path, (off_t)WEB_FILE_MAX_BYTES + 1), 0);
    refused(s, ERR_TOO_LARGE, "/big: a file has at most");
}

/* Out of the directory, round in circles, or onto something that blocks. */
static void test_links_and_other_things_are_left_out(void **state)
{
    struct site *s = *state;
    char path[256];
    snprintf(path, sizeof(path), "%s/passwd", s->dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/round", s->dir);
    assert_int_equal(symlink(".", path), 0);
    snprintf(path, sizeof(path), "%s/pipe", s->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    load(s);
    leads(s, "/passwd", false, NULL);
    leads(s, "/round/index.html", false, NULL);
    leads(s, "/pipe", false, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files_by_their_names),
        TEST(test_pages_for_people),
        TEST(test_a_directory_is_sent_to_its_slash),
        TEST(test_what_is_told_of_a_file),
        cmocka_unit_test(test_etags),
        cmocka_unit_test(test_who_takes_gzip),
        TEST(test_what_is_no_dashboard),
        TEST(test_bounds),
        TEST(test_links_and_other_things_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

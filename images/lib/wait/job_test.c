/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_run(void **state)
{
    char body[] = "run\0/work\0002\0a b\0\0002\0A=1\0=B=\0";
    struct job j = {0};
    assert_int_equal(0, job_parse(body, sizeof(body) - 1, &j));
    assert_false(j.rehearse);
    assert_string_equal("/work", j.cwd);
    assert_int_equal(2, j.n_args);
    assert_string_equal("a b", j.args[0]);
    assert_string_equal("", j.args[1]);
    assert_null(j.args[2]);
    assert_int_equal(2, j.n_env);
    assert_string_equal("A=1", j.env[0]);
    assert_string_equal("=B=", j.env[1]);
    job_done(&j);
}

static void test_rehearse(void **state)
{
    char body[] = "rehearse\0/\0000\0000\0";
    struct job j = {0};
    assert_int_equal(0, job_parse(body, sizeof(body) - 1, &j));
    assert_true(j.rehearse);
    assert_int_equal(0, j.n_args + j.n_env);
    assert_null(j.env[0]);
    job_done(&j);
}

/* Nothing of it is taken, and what was there stays. */
static void test_refused(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {
#define BAD(text) {text, sizeof(text) - 1}
        BAD(""),
        BAD("run"),
        BAD("walk\0/\0000\0000\0"),
        BAD("run\0work\0000\0000\0"),
        BAD("run\0/\0001\0000\0"),
        BAD("run\0/\0x\0000\0"),
        BAD("run\0/\0-1\0000\0"),
        BAD("run\0/\0\0000\0"),
        BAD("run\0/\099999999\0a\0000\0"),
        BAD("run\0/\0000\0001\0A\0"),
        BAD("run\0/\0000\0001\0=A\0"),
        BAD("run\0/\0000\0001\0A=1"),
        BAD("run\0/\0000\0000\0x\0"),
        BAD("run\0/\0000\0"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *body = malloc(bad[i].len + 1);
        struct job j = {.n_args = 77};
        memcpy(body, bad[i].text, bad[i].len);
        assert_int_equal(-EBADMSG, job_parse(body, bad[i].len, &j));
        assert_int_equal(77, j.n_args);
        free(body);
    }
}

static void test_length(void **state)
{
    assert_int_equal(0, job_length("0", 1));
    assert_int_equal(1200, job_length("1200", 4));
    assert_int_equal(JOB_BODY_MAX, job_length("8388608", 7));
    assert_int_equal(-EBADMSG, job_length("8388609", 7));
    assert_int_equal(-EBADMSG, job_length("", 0));
    assert_int_equal(-EBADMSG, job_length("1 ", 2));
    assert_int_equal(-EBADMSG, job_length("000000001", 9));
}

static bool is_ours(const char *variable)
{
    return strncmp(variable, "OURS", 4) == 0;
}

/* The environment for a job's `env`, started with `base`, being `now`. */
static void expect_environ(const char *const *env, const char *const *base, const char *const *now,
                           const char *const *want)
{
    struct job j = {.env = (char **)(uintptr_t)env};
    while (env[j.n_env])
        j.n_env++;
    char **got = job_environ(&j, (char **)(uintptr_t)base, (char **)(uintptr_t)now, is_ours);
    size_t n = 0;
    for (; want[n]; n++)
        assert_string_equal(want[n], got[n]);
    assert_null(got[n]);
    job_list_free(got);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Nobody changed anything: the job's, in its order. */
static void test_environ_plain(void **state)
{
    expect_environ(LIST("Z=1", "HOME=/h", "A=2"), LIST("HOME=/h", "A=1"),
                   LIST("HOME=/h", "A=1", "OURS=x"), LIST("Z=1", "HOME=/h", "A=2"));
}

/* A wrapper changed PATH, removed GONE, added ROOT: the same with what the job did not change. */
static void test_environ_wrapped(void **state)
{
    const char *const *base = LIST("PATH=/bin", "GONE=1", "A=1");
    const char *const *now = LIST("PATH=/rt:/bin", "A=1", "ROOT=/rt", "NEW=theirs", "OURS=x");
    expect_environ(base, base, now, LIST("PATH=/rt:/bin", "A=1", "ROOT=/rt", "NEW=theirs"));
    expect_environ(LIST("PATH=/mine", "GONE=2", "NEW=mine"), base, now,
                   LIST("PATH=/mine", "GONE=2", "NEW=mine", "ROOT=/rt"));
}

static void test_argv(void **state)
{
    char command[] = "r", file[] = "main.r", one[] = "one", empty[] = "";
    char *first[] = {command, file}, *args[] = {one, empty};
    char **argv = job_argv(first, 2, args, 2);
    one[0] = 'O'; /* those are copies */
    assert_string_equal("r", argv[0]);
    assert_string_equal("main.r", argv[1]);
    assert_string_equal("one", argv[2]);
    assert_string_equal("", argv[3]);
    assert_null(argv[4]);
    job_list_free(argv);
    argv = job_argv(first, 1, NULL, 0);
    assert_string_equal("r", argv[0]);
    assert_null(argv[1]);
    job_list_free(argv);
    job_list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),           cmocka_unit_test(test_rehearse),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_length),
        cmocka_unit_test(test_environ_plain), cmocka_unit_test(test_environ_wrapped),
        cmocka_unit_test(test_argv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

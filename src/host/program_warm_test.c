/* SPDX-License-Identifier: Apache-2.0 */

/* Runs that a waiting runtime takes over, and those it cannot, on the fake engine. Its guests have
 * python and nodejs wait as the table says. */

#include "host/test_host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "host/host_priv.h"
#include "host/image_priv.h"

#define PATIENCE_MS 60000
#define MANY 1000 /* more programs than there are CPUs */

/* Runs a script of the fake's language as a program. */
static void run_as(struct test_host *t, struct run_request *rq, const char *code, const char *want,
                   bool warm)
{
    struct err e = ERR_INIT;
    CLEANUP(run_result_done) struct run_result res = {0};
    rq->language = rq->language ? rq->language : "python";
    rq->code = code;
    rq->code_len = strlen(code);
    rq->timeout_ms = 30000;
    if (host_run(t->host, rq, &res, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(want, buf_str(&res.out));
    assert_int_equal(warm, res.warm);
    assert_int_equal(0, res.exit_code);
}

static void run_plain(struct test_host *t, const char *language, bool warm)
{
    run_as(t, &(struct run_request){.language = language}, "print hello\n", "hello\n", warm);
}

static void test_a_run_is_taken_over(void **state)
{
    struct test_host *t = *state;
    static const char *const args[] = {"a", "", "b c"};
    static const struct run_pair env[] = {{"A", "1", 1}, {"HOME", "/tmp", 4}};
    struct run_request rq = {.args = args, .n_args = 3};
    run_as(t, &rq, "args\n", "a\n\nb c\n", true);
    rq = (struct run_request){.env = env, .n_env = 1};
    run_as(t, &rq, "env A\nenv LANG\nenv HOLM_WAIT\n", "1\nC.UTF-8\nno env HOLM_WAIT\n", true);
    rq = (struct run_request){.stdin_data = "in", .stdin_len = 2};
    run_as(t, &rq, "cat\n", "in", true);
    run_plain(t, "nodejs", true);
    assert_int_equal(4, t->host->metrics.runs_warm);
}

static void test_what_cannot_be_handed_over_runs_cold(void **state)
{
    struct test_host *t = *state;
    static const struct run_pair env[] = {{"PYTHONHASHSEED", "0", 1}};
    struct run_request rq = {.env = env, .n_env = 1};
    run_as(t, &rq, "env PYTHONHASHSEED\n", "0\n", false);
    rq = (struct run_request){.language = "nodejs", .env = env, .n_env = 1};
    run_as(t, &rq, "env PYTHONHASHSEED\n", "0\n", true);
    rq = (struct run_request){.cold = true};
    run_as(t, &rq, "print x\n", "x\n", false);
    const struct run_limits limits = {.memory_bytes = 64 * MIB};
    rq = (struct run_request){.limits = &limits};
    run_as(t, &rq, "print x\n", "x\n", false);
    run_plain(t, "bash", false);
    assert_int_equal(1, t->host->metrics.runs_warm);
}

/* What the template of a language depends on; the caller frees. */
static void read_print(struct test_host *t, const char *name, struct buf *ret)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/templates/%s.json", t->dir, name);
    assert_true(file_read(path, ret, 4096) >= 0);
}

static void test_templates(void **state)
{
    struct test_host *t = *state;
    auto_buf struct buf python = {0}, bash = {0};
    read_print(t, "python.python", &python);
    read_print(t, "bash.bash", &bash);
    assert_non_null(strstr(buf_str(&python), "runtime=python;"));
    assert_null(strstr(buf_str(&bash), "runtime="));
}

static int setup_without(void **state)
{
    static const char *const settings[] = {"pool.runtimes=no", NULL};
    return test_host_setup_with(state, settings);
}

static void test_none_wait_where_they_shall_not(void **state)
{
    struct test_host *t = *state;
    auto_buf struct buf print = {0};
    read_print(t, "python.python", &print);
    assert_null(strstr(buf_str(&print), "runtime="));
    run_plain(t, "python", false);
}

static void await_pooled(struct test_host *t, const char *language)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    struct language_status st = {0};
    while (st.pooled == 0) {
        host_language_status(t->host, host_language_find(language), &st);
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 2);
    }
}

static int setup_pool(void **state)
{
    static const char *const settings[] = {"pool.python=1", NULL};
    return test_host_setup_with(state, settings);
}

/* The twin's exercise has left the one that waits for the program alone. */
static void test_a_pooled_vm_has_one(void **state)
{
    struct test_host *t = *state;
    struct err e = ERR_INIT;
    CLEANUP(run_result_done) struct run_result res = {0};
    const struct run_request rq = {
        .language = "python", .code = "print x", .code_len = 7, .timeout_ms = 30000};
    await_pooled(t, "python");
    assert_int_equal(0, host_run(t->host, &rq, &res, &e));
    assert_true(res.from_pool);
    assert_true(res.warm);
}

/* A FIFO that a restore waits at, and a guest whose first exec fails. */
struct held {
    struct test_host *t;
    char dir[32], fifo[48];
};

static int setup_held(void **state)
{
    struct held *d = calloc(1, sizeof(*d));
    char faults[128];
    strcpy(d->dir, "/tmp/holm-pool-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->fifo, sizeof(d->fifo), "%s/fifo", d->dir);
    assert_int_equal(0, mkfifo(d->fifo, 0600));
    snprintf(faults, sizeof(faults), "restore.exec=reset:1,wait=restore.end:%s", d->fifo);
    setenv("HOLM_FAKE_FAULTS", faults, 1);
    test_host_setup_with((void **)&d->t, (const char *const[]){"pool.bash=1", NULL});
    unsetenv("HOLM_FAKE_FAULTS");
    *state = d;
    return 0;
}

static int teardown_held(void **state)
{
    struct held *d = *state;
    rmdir(d->dir);
    test_host_teardown((void **)&d->t);
    free(d);
    return 0;
}

static void await_no_vm(const struct test_host *t)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (test_count_entries(t, "vms") > 0) {
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 2);
    }
}

/* Programs that come while a VM is being restored are no reason to leave its exercise out: the exec
 * that fails is the exercise's, and its VM is never pooled. */
static void test_a_pooled_vm_was_exercised(void **state)
{
    struct held *d = *state;
    struct test_host *t = d->t;
    struct err e = ERR_INIT;
    CLEANUP(run_result_done) struct run_result res = {0};
    const struct run_request rq = {
        .language = "bash", .code = "print x", .code_len = 7, .timeout_ms = 30000};
    int fifo = open(d->fifo, O_WRONLY | O_CLOEXEC);
    assert_true(fifo >= 0);
    t->host->runs += MANY;
    unlink(d->fifo);
    close(fifo);
    await_no_vm(t);
    t->host->runs -= MANY;
    pool_wake(t->host->pool);
    await_pooled(t, "bash");
    assert_int_equal(0, host_run(t->host, &rq, &res, &e));
    assert_true(res.from_pool);
}

/* --- guests that do not do what they should: HOLM_FAKE_FAULTS is read when a host starts --- */

static int setup_fault(void **state, const char *faults)
{
    setenv("HOLM_FAKE_FAULTS", faults, 1);
    int r = test_host_setup_with(state, (const char *const[]){"pool.python=1", NULL});
    unsetenv("HOLM_FAKE_FAULTS");
    return r;
}

static int setup_dead(void **state)
{
    return setup_fault(state, "restore.warm=die");
}

static int setup_refusing(void **state)
{
    return setup_fault(state, "boot.warm=refuse");
}

/* In either case programs run all the same, also in VMs that the pool has exercised. */
static void test_without_one_programs_run_cold(void **state)
{
    struct test_host *t = *state;
    await_pooled(t, "python");
    run_plain(t, "python", false);
    run_plain(t, "nodejs", false);
    assert_int_equal(0, t->host->metrics.runs_warm);
    assert_int_equal(0, t->host->metrics.runs_failed);
}

/* What the process that waits was started with is in the template's fingerprint: another row makes
 * another template. */
static void test_a_template_depends_on_the_row(void **state)
{
    struct test_host *t = *state;
    const struct language *python = host_language_find("python");
    struct language_warm warm = *python->warm;
    struct language other = *python;
    struct image_use use = {0};
    struct err e = ERR_INIT;
    const struct image_ask ask = image_of_language(python);
    other.warm = &warm;
    warm.env = "HOLM_WAIT=2";
    assert_ptr_equal(python, ask.lang);
    assert_int_equal(0, image_ready(t->host->images, &ask, &use, &e));
    struct image im = *use.image;
    auto_buf struct buf mine = {0};
    auto_buf struct buf others = {0};
    assert_int_equal(0, template_fingerprint(t->host->images, &im, &mine, &e));
    im.lang = &other;
    assert_int_equal(0, template_fingerprint(t->host->images, &im, &others, &e));
    assert_string_not_equal(buf_str(&mine), buf_str(&others));
    image_release(t->host->images, &use);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
#define TEST(f, setup) cmocka_unit_test_setup_teardown(f, setup, test_host_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_is_taken_over, test_host_setup),
        TEST(test_what_cannot_be_handed_over_runs_cold, test_host_setup),
        TEST(test_templates, test_host_setup),
        TEST(test_none_wait_where_they_shall_not, setup_without),
        TEST(test_a_pooled_vm_has_one, setup_pool),
        cmocka_unit_test_setup_teardown(test_a_pooled_vm_was_exercised, setup_held, teardown_held),
        TEST(test_without_one_programs_run_cold, setup_dead),
        TEST(test_without_one_programs_run_cold, setup_refusing),
        TEST(test_a_template_depends_on_the_row, test_host_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

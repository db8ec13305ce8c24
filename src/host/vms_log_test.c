/* SPDX-License-Identifier: Apache-2.0 */

/* Logs of VMs, waiting for a launch, and the power button, on the fake engine. */

#include "host/test_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "host/vms_priv.h"

/* Whether there is more before. */
static bool read_log(struct test_host *t, const char *id, enum vm_log which, size_t lines,
                     struct buf *ret)
{
    struct err e = ERR_INIT;
    struct vm_log_tail tail = {.which = which, .lines = lines};
    if (host_vm_log(t->host, t->account, id, &tail, &e) < 0)
        fail_msg("%s", e.text);
    buf_done(ret);
    *ret = tail.text;
    return tail.has_more;
}

/* The events without their times, each with a line's end. */
static void events(const struct buf *log, struct buf *ret)
{
    for (const char *p = buf_str(log); *p;) {
        size_t n = strcspn(p, "\n");
        const char *what = strchr(p, ' ');
        assert_true(what && what < p + n);
        buf_append(ret, what + 1, n - (size_t)(what + 1 - p));
        buf_append_str(ret, "\n");
        p += n + (p[n] == '\n');
    }
}

static void test_a_life(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    bool more;
    auto_buf struct buf log = {0}, all = {0};
    test_launch_default(t, id);
    assert_int_equal(0, host_vm_pause(t->host, t->account, id, NULL, NULL));
    assert_int_equal(0, host_vm_resume(t->host, t->account, id, NULL, NULL));
    assert_int_equal(0, host_snapshot_create(t->host, t->account, id, "s", NULL, NULL));
    assert_int_equal(0, host_vm_stop(t->host, t->account, id, 30000, NULL, NULL));
    more = read_log(t, id, VM_LOG_MONITOR, 1000, &log);
    assert_false(more);
    events(&log, &all);
    const char *first_end = strchr(buf_str(&all), '\n');
    assert_memory_equal(buf_str(&all), "created snapshot=none image=", 28);
    const char *running = strstr(first_end, "running\n");
    assert_non_null(running);
    assert_string_equal(running, "running\npausing\npaused\nresuming\nrunning\nsnapshot taken\n"
                                 "stopping\nstopped\n");
    more = read_log(t, id, VM_LOG_MONITOR, 2, &log);
    assert_true(more);
    buf_clear(&all);
    events(&log, &all);
    assert_string_equal(buf_str(&all), "stopping\nstopped\n");
    /* The next daemon has it too, and a deleted one has none. */
    test_host_stop(t);
    test_host_start(t);
    more = read_log(t, id, VM_LOG_MONITOR, 2, &log);
    assert_non_null(strstr(buf_str(&log), "stopped\n"));
    int before = test_count_entries(t, "consoles");
    assert_int_equal(0, host_vm_delete(t->host, t->account, id, NULL));
    assert_true(test_count_entries(t, "consoles") < before);
    struct err e = ERR_INIT;
    struct vm_log_tail none = {.lines = 1};
    assert_true(host_vm_log(t->host, t->account, id, &none, &e) < 0);
    assert_int_equal(e.class, ERR_NOT_FOUND);
}

/* Any number of events takes so much room, and the newest are there. */
static void test_the_log_is_bounded(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE], long_text[400];
    bool more;
    auto_buf struct buf log = {0};
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    test_launch_default(t, id);
    for (int i = 0; i < 1000; i++)
        vms_log(t->host, id, "%d\n%s", i, long_text);
    more = read_log(t, id, VM_LOG_MONITOR, 100000, &log);
    assert_true(log.len > VM_LOG_KEEP_BYTES && log.len < 2 * VM_LOG_KEEP_BYTES + 1024);
    assert_false(more);
    more = read_log(t, id, VM_LOG_MONITOR, 1, &log);
    assert_non_null(strstr(buf_str(&log), " 999 xxx"));
    assert_true(more);
}

static void test_the_other_logs(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    bool more = true;
    auto_buf struct buf log = {0};
    test_launch_default(t, id);
    more = read_log(t, id, VM_LOG_STDOUT, 10, &log);
    more = read_log(t, id, VM_LOG_STDERR, 10, &log);
    char path[256];
    snprintf(path, sizeof(path), "%s/vms/%s/monitor.log", t->dir, id);
    assert_int_equal(0, file_write_atomic(path, "one\ntwo\nthree", 13, 0600));
    more = read_log(t, id, VM_LOG_STDERR, 2, &log);
    assert_string_equal(buf_str(&log), "two\nthree");
    assert_true(more);
    more = read_log(t, id, VM_LOG_STDERR, 0, &log);
    assert_string_equal(buf_str(&log), "");
}

static bool always(void *arg)
{
    return true;
}

static void test_await(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    struct err e = ERR_INIT;
    struct vm_info v = {0};
    const struct vm_wait w = {.timeout_ms = 60000};
    test_launch_default(t, id);
    assert_int_equal(0, host_vm_await(t->host, t->account, id, &w, &v, &e));
    assert_int_equal(v.state, VM_RUNNING);
    vm_info_done(&v);
    assert_true(host_vm_await(t->host, t->account, "nobodynobodynobodyno", &w, &v, &e) < 0);
    assert_int_equal(e.class, ERR_NOT_FOUND);
}

/* There is room for one VM: the second waits for its turn. */
static void test_await_a_turn(void **state)
{
    static const char *const one[] = {"limits.vms_max=1", "pool.vms=0", "pool.default=0", NULL};
    struct test_host t = {0};
    struct vm_info v = {0};
    struct err e = ERR_INIT;
    char id[ID_SIZE];
    test_host_init(&t, one);
    test_launch_default(&t, id);
    const struct vm_launch rq = {.account = t.account};
    assert_int_equal(0, host_vm_launch(t.host, &rq, &v, &e));
    assert_int_equal(v.state, VM_STARTING);
    char second[ID_SIZE];
    memcpy(second, v.id, sizeof(second));
    vm_info_done(&v);
    const struct vm_wait left = {.timeout_ms = 60000, .cancelled = always};
    assert_true(host_vm_await(t.host, t.account, second, &left, &v, &e) < 0);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    const struct vm_wait briefly = {.timeout_ms = 1};
    assert_true(host_vm_await(t.host, t.account, second, &briefly, &v, &e) < 0);
    assert_int_equal(e.class, ERR_FULL);
    assert_int_equal(0, host_vm_delete(t.host, t.account, id, NULL));
    const struct vm_wait w = {.timeout_ms = 60000};
    assert_int_equal(0, host_vm_await(t.host, t.account, second, &w, &v, &e));
    assert_int_equal(v.state, VM_RUNNING);
    vm_info_done(&v);
    test_host_done(&t);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_host_setup, test_host_teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    const struct CMUnitTest tests[] = {
        TEST(test_a_life), TEST(test_the_log_is_bounded),       TEST(test_the_other_logs),
        TEST(test_await),  cmocka_unit_test(test_await_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

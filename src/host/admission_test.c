/* SPDX-License-Identifier: Apache-2.0 */
#include "host/admission.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/test.h"

static const struct machine_shape small = {.vcpus = 1, .memory_mib = 256};

static struct admission make(int vms, int memory_mib, int uids)
{
    struct admission a;
    struct admission_limits l = {.vms_max = vms,
                                 .memory_max_mib = memory_mib,
                                 .starts_max = 1,
                                 .uid_first = 1000,
                                 .uid_count = uids};
    assert_int_equal(admission_init(&a, &l, NULL), 0);
    return a;
}

static void assert_full(struct admission *a, const char *what)
{
    struct err e = ERR_INIT;
    uid_t uid = 7;
    assert_int_equal(admission_take(a, &small, &uid, &e), -EAGAIN);
    assert_int_equal(e.class, ERR_FULL);
    assert_true(e.retry_after_s > 0);
    assert_non_null(strstr(e.text, what));
    assert_int_equal(uid, 7);
}

static void test_bounds(void **state)
{
    uid_t uid;
    struct admission a = make(2, 100000, 10);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_int_equal(uid, 1001);
    assert_full(&a, "2 of 2 VMs");
    admission_give_back(&a, &small, 1000);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(a.refused, 1);
    admission_done(&a);

    a = make(10, 600, 10);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_full(&a, "512 of 600 MiB of memory");
    admission_done(&a);

    a = make(10, 100000, 1);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_full(&a, "uids");
    admission_done(&a);
}

static void test_never(void **state)
{
    struct err e = ERR_INIT;
    uid_t uid;
    struct admission a = make(10, 200, 10);
    assert_int_equal(admission_take(&a, &small, &uid, &e), -EINVAL);
    assert_non_null(strstr(e.text, "can never run here"));
    admission_done(&a);
}

static void test_adopt(void **state)
{
    struct err e = ERR_INIT;
    uid_t uid;
    struct admission a = make(3, 100000, 2);
    assert_int_equal(admission_adopt(&a, &small, 1000, NULL), 0);
    assert_int_equal(admission_adopt(&a, &small, 1000, &e), -EAGAIN);
    assert_int_equal(admission_adopt(&a, &small, 999, &e), -EAGAIN);
    assert_int_equal(admission_adopt(&a, &small, 1002, &e), -EAGAIN);
    assert_int_equal(admission_take(&a, &small, &uid, NULL), 0);
    assert_int_equal(uid, 1001);
    admission_done(&a);
}

struct gate {
    struct admission a;
    atomic_int inside, peak, passed;
};

static void *pass_gate(void *arg)
{
    struct gate *g = arg;
    for (int i = 0; i < 200; i++) {
        admission_start_enter(&g->a);
        int now = ++g->inside;
        if (now > g->peak)
            g->peak = now;
        g->inside--;
        g->passed++;
        admission_start_leave(&g->a);
    }
    return NULL;
}

static void test_gate(void **state)
{
    struct gate g = {.a = make(10, 100000, 10)};
    pthread_t threads[8];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass_gate, &g), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(g.peak, 1);
    assert_int_equal(g.passed, 1600);
    admission_done(&g.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "host/admission.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"

#define PATIENCE_MS 30000

static const struct machine_shape small = {.vcpus = 1, .memory_mib = 256};

static struct admission make(int vms, int memory_mib, int uids)
{
    struct admission a;
    struct admission_limits l = {.vms_max = vms,
                                 .memory_max_mib = memory_mib,
                                 .starts_max = 1,
                                 .waiting_max = 2,
                                 .uid_first = 1000,
                                 .uid_count = uids};
    assert_int_equal(admission_init(&a, &l, NULL), 0);
    return a;
}

static void assert_full(struct admission *a, const char *what)
{
    struct err e = ERR_INIT;
    uid_t uid = 7;
    assert_int_equal(admission_take(a, &small, NULL, &uid, &e), -EAGAIN);
    assert_int_equal(e.class, ERR_FULL);
    assert_true(e.retry_after_s > 0);
    assert_non_null(strstr(e.text, what));
    assert_int_equal(uid, 7);
}

static void test_bounds(void **state)
{
    uid_t uid;
    struct admission a = make(2, 100000, 10);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(uid, 1001);
    assert_full(&a, "2 of 2 VMs");
    admission_give_back(&a, &small, 1000);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(a.refused, 1);
    admission_done(&a);

    a = make(10, 600, 10);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_full(&a, "512 of 600 MiB of memory");
    admission_done(&a);

    a = make(10, 100000, 1);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_full(&a, "uids");
    admission_done(&a);
}

static void test_never(void **state)
{
    struct err e = ERR_INIT;
    uid_t uid;
    struct admission a = make(10, 200, 10);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, &e), -EINVAL);
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
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(uid, 1001);
    admission_done(&a);
}

/* --- the line --- */

/* A thread that wants a VM and notes in which order it got one. */
struct wanter {
    struct admission *a;
    atomic_int *order;
    atomic_bool gone;
    enum admission_next next; /* what it answers when it is the first and there is no room */
    atomic_int asked;
    int64_t wait_ms; /* 0: long */
    pthread_t thread;
    int r, place;
    uid_t uid;
    struct err err;
};

static bool is_gone(void *arg)
{
    struct wanter *w = arg;
    return w->gone;
}

static enum admission_next on_full(void *arg)
{
    struct wanter *w = arg;
    w->asked++;
    return w->next;
}

static void *want(void *arg)
{
    struct wanter *w = arg;
    struct admission_wait wait = {
        .deadline_ms = clock_mono_ms() + (w->wait_ms ? w->wait_ms : PATIENCE_MS),
        .cancelled = is_gone,
        .full = on_full,
        .arg = w,
    };
    w->r = admission_take(w->a, &small, &wait, &w->uid, &w->err);
    w->place = w->order ? ++*w->order : 0;
    return NULL;
}

static void start_wanting(struct wanter *w, int waiting_then)
{
    assert_int_equal(pthread_create(&w->thread, NULL, want, w), 0);
    while (w->a->waiting < waiting_then)
        sched_yield();
}

static void test_first_come_first_served(void **state)
{
    uid_t uid;
    atomic_int order = 0;
    struct admission a = make(1, 100000, 10);
    struct wanter first = {.a = &a, .order = &order}, second = {.a = &a, .order = &order};
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    start_wanting(&first, 1);
    start_wanting(&second, 2);
    admission_give_back(&a, &small, uid);
    pthread_join(first.thread, NULL);
    assert_int_equal(first.r, 0);
    assert_int_equal(a.waiting, 1);
    admission_give_back(&a, &small, first.uid);
    pthread_join(second.thread, NULL);
    assert_int_equal(second.r, 0);
    assert_int_equal(first.place, 1);
    assert_int_equal(second.place, 2);
    assert_int_equal(a.vms, 1);
    admission_done(&a);
}

static void test_the_line_has_an_end(void **state)
{
    uid_t uid;
    struct admission a = make(1, 100000, 10);
    struct wanter w[3] = {{.a = &a}, {.a = &a}, {.a = &a}};
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    start_wanting(&w[0], 1);
    start_wanting(&w[1], 2);
    want(&w[2]); /* at once */
    assert_int_equal(w[2].r, -EAGAIN);
    assert_int_equal(w[2].err.class, ERR_FULL);
    assert_non_null(strstr(w[2].err.text, "2 of 2 places in the line"));
    assert_true(w[2].err.retry_after_s > 0);
    assert_int_equal(a.refused, 1);
    /* Who leaves makes room in it, and whom it never concerned gets on without it. */
    w[1].gone = true;
    pthread_join(w[1].thread, NULL);
    assert_int_equal(w[1].r, -ECANCELED);
    assert_int_equal(a.waiting, 1);
    w[0].gone = true;
    pthread_join(w[0].thread, NULL);
    assert_int_equal(a.waiting, 0);
    admission_done(&a);
}

static void test_waiting_ends(void **state)
{
    uid_t uid;
    struct admission a = make(1, 100000, 10);
    struct wanter late = {.a = &a, .wait_ms = 1}, served = {.a = &a, .next = ADMISSION_LEAVE};
    struct err e = ERR_INIT;
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    start_wanting(&late, 0);
    pthread_join(late.thread, NULL);
    assert_int_equal(late.r, -EAGAIN);
    assert_int_equal(late.err.class, ERR_FULL);
    assert_non_null(strstr(late.err.text, "no VM became free in time"));
    assert_true(late.err.retry_after_s > 0);
    want(&served);
    assert_int_equal(served.r, -EALREADY);
    assert_int_equal(served.asked, 1);
    assert_int_equal(a.vms, 1);
    /* What can never be had is not waited for. */
    struct machine_shape huge = {.vcpus = 1, .memory_mib = 100001};
    struct admission_wait wait = {.deadline_ms = INT64_MAX};
    assert_int_equal(admission_take(&a, &huge, &wait, &uid, &e), -EINVAL);
    admission_done(&a);
}

/* The one that is first ends something itself and looks again, without waiting for news. */
static enum admission_next end_one(void *arg)
{
    struct admission *a = arg;
    admission_give_back(a, &small, 1000);
    return ADMISSION_LOOK;
}

static void test_making_room(void **state)
{
    uid_t uid;
    struct admission a = make(1, 100000, 10);
    struct admission_wait wait = {.deadline_ms = INT64_MAX, .full = end_one, .arg = &a};
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(admission_take(&a, &small, &wait, &uid, NULL), 0);
    assert_int_equal(a.vms, 1);
    admission_done(&a);
}

/* Retry-After follows the pace at which places became free, and the length of the line. */
static void test_retry_after(void **state)
{
    struct err e = ERR_INIT;
    uid_t uid;
    struct admission a = make(1, 100000, 10);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, NULL), 0);
    assert_int_equal(admission_take(&a, &small, NULL, &uid, &e), -EAGAIN);
    assert_int_equal(e.retry_after_s, 2); /* nothing is known */
    int64_t now = clock_mono_ms();
    for (int i = 0; i < 10; i++)
        a.freed_ms[a.freed++] = now - 9000 + 1000 * i;
    assert_int_equal(admission_take(&a, &small, NULL, &uid, &e), -EAGAIN);
    assert_int_equal(e.retry_after_s, 1);
    a.waiting = 20; /* at about one a second */
    assert_int_equal(admission_take(&a, &small, NULL, &uid, &e), -EAGAIN);
    assert_in_range(e.retry_after_s, 18, 22);
    a.waiting = 100000;
    assert_int_equal(admission_take(&a, &small, NULL, &uid, &e), -EAGAIN);
    assert_int_equal(e.retry_after_s, 300);
    a.waiting = 0;
    for (int i = 0; i < ADMISSION_PACE_MAX; i++) /* of long ago */
        a.freed_ms[i] = now - 100000;
    assert_int_equal(admission_take(&a, &small, NULL, &uid, &e), -EAGAIN);
    assert_int_equal(e.retry_after_s, 2);
    admission_done(&a);
}

/* Tickets: whoever comes to the gate first passes it first. */
struct comer {
    struct admission *a;
    atomic_int *order;
    int place;
    pthread_t thread;
};

static void *come(void *arg)
{
    struct comer *c = arg;
    admission_start_enter(c->a);
    c->place = ++*c->order;
    admission_start_leave(c->a);
    return NULL;
}

static unsigned long came(struct admission *a)
{
    AUTO_LOCK(&a->lock);
    return a->starts_came;
}

static void test_gate_is_fair(void **state)
{
    struct admission a = make(10, 100000, 10);
    atomic_int order = 0;
    struct comer c[5];
    admission_start_enter(&a);
    for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
        c[i] = (struct comer){.a = &a, .order = &order};
        assert_int_equal(pthread_create(&c[i].thread, NULL, come, &c[i]), 0);
        while (came(&a) < i + 2)
            sched_yield();
    }
    admission_start_leave(&a);
    for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].place, i + 1);
    }
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
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_the_line_has_an_end),
        cmocka_unit_test(test_waiting_ends),
        cmocka_unit_test(test_making_room),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_gate_is_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

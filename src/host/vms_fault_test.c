/* SPDX-License-Identifier: Apache-2.0 */

/* VMs that live, on the fake engine, when something fails or several things happen at a time. */

#include "host/test_host.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/instance.h"
#include "host/vm_pool.h"
#include "host/vms_priv.h"

#define PATIENCE_MS 60000

static int teardown(void **state)
{
    unsetenv("HOLM_FAKE_FAULTS");
    if (*state)
        test_host_done(*state);
    free(*state);
    return 0;
}

/* `faults` may be NULL; they begin when the images are ready. */
static struct test_host *begin(void **state, const char *const *settings, const char *faults)
{
    struct test_host *t = calloc(1, sizeof(*t));
    *state = t;
    test_host_init(t, settings);
    if (!faults)
        return t;
    test_host_stop(t);
    setenv("HOLM_FAKE_FAULTS", faults, 1);
    test_host_start(t);
    return t;
}

#define OK(call)                               \
    do {                                       \
        struct err e = ERR_INIT;               \
        if ((call) < 0)                        \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

#define REFUSED(class_, call)                                                                      \
    do {                                                                                           \
        struct err e = ERR_INIT;                                                                   \
        assert_true((call) < 0);                                                                   \
        if (e.class != (class_))                                                                   \
            fail_msg("%s: %s, not %s: %s", #call, err_class_name(e.class), err_class_name(class_), \
                     e.text);                                                                      \
    } while (0)

#define AWAIT(condition)                                  \
    do {                                                  \
        int64_t until_ms = clock_mono_ms() + PATIENCE_MS; \
        while (!(condition)) {                            \
            assert_true(clock_mono_ms() < until_ms);      \
            poll(NULL, 0, 5);                             \
        }                                                 \
    } while (0)

static struct account_info account(struct test_host *t)
{
    struct account_info *list = NULL, first;
    size_t n = 0;
    OK(host_account_list(t->host, &list, &n, &e));
    assert_int_equal(1, n);
    first = list[0];
    free(list);
    return first;
}

/* --- faults --- */

static void test_a_disk_that_cannot_grow_stays_and_is_not_charged(void **state)
{
    struct test_host *t = begin(state, NULL, "resize=fail:1");
    struct vm_info v;
    char id[ID_SIZE];
    test_launch_default(t, id);
    struct quota before = account(t).usage;
    OK(host_vm_get(t->host, t->account, id, &v, &e));
    struct vm_patch p = {.what = VM_PATCH_DISK, .disk_bytes = v.disk_bytes + (INT64_C(1) << 30)};
    int64_t had_bytes = v.disk_bytes;
    vm_info_done(&v);
    REFUSED(ERR_INTERNAL, host_vm_patch(t->host, t->account, id, &p, NULL, &e));
    assert_int_equal(before.disk_bytes, account(t).usage.disk_bytes);
    OK(host_vm_get(t->host, t->account, id, &v, &e));
    assert_int_equal(had_bytes, v.disk_bytes);
    vm_info_done(&v);
    OK(host_vm_patch(t->host, t->account, id, &p, &v, &e));
    assert_int_equal(p.disk_bytes, v.disk_bytes);
    vm_info_done(&v);
    assert_int_equal(before.disk_bytes + (INT64_C(1) << 30), account(t).usage.disk_bytes);
}

static void test_a_guest_that_ignores_the_power_button_is_turned_off(void **state)
{
    struct test_host *t = begin(state, NULL, "boot.power=ignore,restore.power=ignore");
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "put /f disk");
    for (int boots = 0; boots < 2; boots++) {
        int64_t begun_ms = clock_mono_ms();
        OK(host_vm_stop(t->host, t->account, id, 200, NULL, &e));
        assert_true(clock_mono_ms() >= begun_ms + 200);
        assert_int_equal(VM_STOPPED, test_state(t, id));
        assert_int_equal(0, test_count_monitors(t));
        OK(host_vm_start(t->host, t->account, id, NULL, &e));
        assert_string_equal("disk\n", test_script(t, id, "file /f"));
    }
}

static bool answers(struct test_host *t, const char *id)
{
    struct vm_exec x = {.argv = (const char *[]){"true"}, .n_argv = 1};
    struct exec_exit exit;
    return host_vm_exec(t->host, t->account, id, &x, &exit, NULL) == 0;
}

static void test_an_agent_whose_link_broke_is_reached_again(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    struct instances *s = t->host->instances;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "set x 1");
    {
        AUTO_LOCK(&s->lock);
        struct instance *inst = s->first;
        link_shutdown(inst->vm->link);
    }
    AWAIT(answers(t, id));
    assert_int_equal(VM_RUNNING, test_state(t, id));
    assert_string_equal("1\n", test_script(t, id, "get x"));
}

static void test_a_broken_link_does_not_keep_a_vm_from_resuming(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    struct instances *s = t->host->instances;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "set x 1");
    OK(host_vm_pause(t->host, t->account, id, NULL, &e));
    {
        AUTO_LOCK(&s->lock);
        link_shutdown(s->first->vm->link);
    }
    OK(host_vm_resume(t->host, t->account, id, NULL, &e));
    assert_string_equal("1\n", test_script(t, id, "get x"));
}

/* --- time --- */

static void test_a_ttl_that_ran_out_begins_anew(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    struct vm_info v;
    char id[ID_SIZE];
    test_launch(t, &(struct vm_launch){.ttl = {1, VM_ACTION_PAUSE}}, &v);
    memcpy(id, v.id, sizeof(id));
    vm_info_done(&v);
    test_await_state(t, id, VM_PAUSED);
    OK(host_vm_get(t->host, t->account, id, &v, &e));
    assert_int_equal(1000000000, v.ttl_remaining_ns);
    vm_info_done(&v);
}

static void test_a_pause_began_when_it_did(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    struct vm_info before, after;
    char id[ID_SIZE];
    test_launch_default(t, id);
    OK(host_vm_pause(t->host, t->account, id, &before, &e));
    test_host_stop(t);
    test_host_start(t);
    OK(host_vm_get(t->host, t->account, id, &after, &e));
    assert_int_equal(before.paused_ns, after.paused_ns);
    vm_info_done(&before);
    vm_info_done(&after);
}

static bool never(const struct instance *inst)
{
    return false;
}

/* As when the TTL is refreshed between a look and the action. */
static void test_an_action_is_asked_again_when_its_turn_has_come(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    struct instances *s = t->host->instances;
    struct instance *inst = NULL;
    char id[ID_SIZE];
    struct err own = ERR_INIT;
    test_launch_default(t, id);
    OK(instance_find(s, t->account, id, &inst, &e));
    assert_int_equal(1, vms_act(s, inst, VM_ACTION_DELETE, never, &own));
    assert_int_equal(VM_RUNNING, test_state(t, id));
    instance_unref(s, inst);
}

/* --- room --- */

static void test_a_fork_makes_room_among_those_that_wait(void **state)
{
    struct test_host *t =
        begin(state, (const char *const[]){"pool.vms=2", "limits.vms_max=4", NULL}, NULL);
    char id[ID_SIZE];
    AWAIT(vm_pool_count(t->host->vm_pool) == 2);
    test_launch_default(t, id);
    AWAIT(vm_pool_count(t->host->vm_pool) == 2);
    struct vm_fork rq = {.count = 3};
    struct vm_fork_result result;
    OK(host_vm_fork(t->host, t->account, id, &rq, &result, &e));
    assert_int_equal(3, result.children.n);
    vm_fork_result_done(&result);
}

static void test_a_launch_over_the_quota_costs_the_pool_nothing(void **state)
{
    struct test_host *t =
        begin(state, (const char *const[]){"pool.vms=1", "quota.vcpus=1", NULL}, NULL);
    char id[ID_SIZE];
    test_launch_default(t, id);
    AWAIT(vm_pool_count(t->host->vm_pool) == 1);
    struct vm_launch rq = {.account = t->account};
    REFUSED(ERR_FORBIDDEN, host_vm_launch(t->host, &rq, NULL, &e));
    assert_int_equal(1, vm_pool_count(t->host->vm_pool));
}

/* --- names --- */

static void test_forks_of_a_long_name_have_their_numbers(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    char name[VM_NAME_SIZE] = "", id[ID_SIZE];
    struct vm_info v;
    for (int i = 0; i < VM_NAME_MAX_CHARS; i++)
        strcat(name, "\xf0\x9f\x8f\x9d");
    test_launch(t, &(struct vm_launch){.name = name}, &v);
    assert_string_equal(name, v.name);
    memcpy(id, v.id, sizeof(id));
    vm_info_done(&v);
    struct vm_fork rq = {.count = 2};
    struct vm_fork_result result;
    OK(host_vm_fork(t->host, t->account, id, &rq, &result, &e));
    for (int i = 0; i < 2; i++) {
        const char *child = result.children.items[i].name;
        assert_int_equal(4 * (VM_NAME_MAX_CHARS - 2) + 2, strlen(child));
        assert_memory_equal(name, child, 4 * (VM_NAME_MAX_CHARS - 2));
        assert_string_equal(i ? "-2" : "-1", child + strlen(child) - 2);
    }
    vm_fork_result_done(&result);
}

/* --- several at a time --- */

struct crowd {
    struct test_host *t;
    const char *vm;
};

static void *make_rename_remove(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 10; i++) {
        struct snapshot_info s;
        struct snapshot_list list;
        struct err e = ERR_INIT;
        if (host_snapshot_create(c->t->host, c->t->account, c->vm, "mine", &s, &e) < 0)
            return strdup(e.text);
        snapshot_info_done(&s);
        (void)host_snapshot_list(c->t->host, c->t->account, &list, &e);
        for (size_t k = 0; k < list.n; k++) {
            (void)host_snapshot_rename(c->t->host, c->t->account, list.items[k].id, "other", NULL,
                                       &e);
            if (k > 1)
                (void)host_snapshot_delete(c->t->host, c->t->account, list.items[k].id, &e);
        }
        snapshot_list_done(&list);
    }
    return NULL;
}

static void test_snapshots_are_what_the_next_daemon_finds(void **state)
{
    struct test_host *t = begin(state, NULL, NULL);
    char id[ID_SIZE];
    pthread_t threads[4];
    test_launch_default(t, id);
    struct crowd c = {t, id};
    for (int i = 0; i < 4; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, make_rename_remove, &c));
    for (int i = 0; i < 4; i++) {
        void *failure = NULL;
        pthread_join(threads[i], &failure);
        if (failure)
            fail_msg("%s", (char *)failure);
    }
    struct snapshot_list before, after;
    OK(host_snapshot_list(t->host, t->account, &before, &e));
    assert_int_equal(before.n, account(t).usage.snapshots);
    assert_int_equal(before.n, test_count_entries(t, "snapshots"));
    test_host_stop(t);
    test_host_start(t);
    OK(host_snapshot_list(t->host, t->account, &after, &e));
    assert_int_equal(before.n, after.n);
    for (size_t i = 0; i < after.n; i++) {
        assert_string_equal(before.items[i].id, after.items[i].id);
        assert_string_equal(before.items[i].name, after.items[i].name);
        assert_int_equal(SNAPSHOT_READY, after.items[i].state);
    }
    snapshot_list_done(&before);
    snapshot_list_done(&after);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    const struct CMUnitTest tests[] = {
        TEST(test_a_disk_that_cannot_grow_stays_and_is_not_charged),
        TEST(test_a_guest_that_ignores_the_power_button_is_turned_off),
        TEST(test_an_agent_whose_link_broke_is_reached_again),
        TEST(test_a_broken_link_does_not_keep_a_vm_from_resuming),
        TEST(test_a_ttl_that_ran_out_begins_anew),
        TEST(test_a_pause_began_when_it_did),
        TEST(test_an_action_is_asked_again_when_its_turn_has_come),
        TEST(test_a_fork_makes_room_among_those_that_wait),
        TEST(test_a_launch_over_the_quota_costs_the_pool_nothing),
        TEST(test_forks_of_a_long_name_have_their_numbers),
        TEST(test_snapshots_are_what_the_next_daemon_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

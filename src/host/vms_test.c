/* SPDX-License-Identifier: Apache-2.0 */

/* VMs that live, on the fake engine: every call of vms.h and vms_guest.h, and that they refuse what
 * they should. */

#include "host/test_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

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

/* --- launch, look, change --- */

static void test_launch_fills_what_was_not_asked(void **state)
{
    struct test_host *t = *state;
    struct vm_info v;
    test_launch(t, &(struct vm_launch){.name = "  a \t b  "}, &v);
    assert_string_equal("a b", v.name);
    assert_string_equal("c1m0.25", v.machine_type);
    assert_string_equal("bash", v.image);
    assert_string_equal("bash", v.source);
    assert_int_equal(1, v.shape.vcpus);
    assert_int_equal(256, v.shape.memory_mib);
    assert_int_equal(0, json_object_size(v.metadata));
    assert_string_equal("allow", json_string_value(json_object_get(
                                     json_object_get(v.firewall, "egress"), "default")));
    assert_int_equal(0, v.expires_ns);
    vm_info_done(&v);
}

static void test_launch_names_the_field_at_fault(void **state)
{
    struct test_host *t = *state;
    static const struct {
        struct vm_launch rq;
        const char *field;
    } cases[] = {
        {{.machine_type = "c9m9"}, "machineType"},
        {{.image = "none"}, "image"},
        {{.image = "../bash"}, "image"},
        {{.disk_bytes = 1}, "diskGiB"},
        {{.disk_bytes = (int64_t)1 << 60}, "diskGiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err own = ERR_INIT;
        struct vm_launch rq = cases[i].rq;
        rq.account = t->account;
        assert_true(host_vm_launch(t->host, &rq, NULL, &own) < 0);
        assert_int_equal(ERR_INVALID, own.class);
        assert_string_equal(cases[i].field, own.field);
    }
    struct vm_list list;
    OK(host_vm_list(t->host, t->account, &list, &e));
    assert_int_equal(0, list.n);
    vm_list_done(&list);
}

static void test_another_accounts_vms_are_not_there(void **state)
{
    struct test_host *t = *state;
    struct account_info other;
    char id[ID_SIZE];
    test_launch_default(t, id);
    OK(host_account_create(t->host, "other", NULL, &other, &e));
    struct vm_exec x = {.argv = (const char *[]){"true"}, .n_argv = 1};
    struct vm_patch p = {.what = VM_PATCH_NAME, .name = "x"};
    struct vm_fork f = {.count = 1};
    const char *o = other.id;
    REFUSED(ERR_NOT_FOUND, host_vm_get(t->host, o, id, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_patch(t->host, o, id, &p, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_pause(t->host, o, id, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_resume(t->host, o, id, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_suspend(t->host, o, id, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_stop(t->host, o, id, 0, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_start(t->host, o, id, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_fork(t->host, o, id, &f, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_exec(t->host, o, id, &x, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_snapshot_create(t->host, o, id, NULL, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_delete(t->host, o, id, &e));
    struct vm_list list;
    OK(host_vm_list(t->host, o, &list, &e));
    assert_int_equal(0, list.n);
    vm_list_done(&list);
    assert_int_equal(VM_RUNNING, test_state(t, id));
}

static void test_patch_changes_only_what_it_names(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    json_t *metadata = json_pack("{s:s}", "k", "v");
    struct vm_patch p = {.what = VM_PATCH_METADATA | VM_PATCH_TTL,
                         .metadata = metadata,
                         .ttl = {3600, VM_ACTION_PAUSE}};
    struct vm_info v;
    OK(host_vm_patch(t->host, t->account, id, &p, &v, &e));
    json_decref(metadata);
    assert_string_equal("v", json_string_value(json_object_get(v.metadata, "k")));
    assert_true(v.expires_ns > clock_real_ns());
    assert_memory_equal("vm-", v.name, 3);
    vm_info_done(&v);
    p = (struct vm_patch){.what = VM_PATCH_NAME, .name = " "};
    REFUSED(ERR_INVALID, host_vm_patch(t->host, t->account, id, &p, NULL, &e));
}

/* --- moves --- */

static void test_pause_freezes_the_ttl(void **state)
{
    struct test_host *t = *state;
    struct vm_info v;
    test_launch(t, &(struct vm_launch){.ttl = {3600, VM_ACTION_DELETE}}, &v);
    char id[ID_SIZE];
    memcpy(id, v.id, sizeof(id));
    vm_info_done(&v);
    OK(host_vm_pause(t->host, t->account, id, &v, &e));
    assert_int_equal(VM_PAUSED, v.state);
    assert_true(v.paused_ns > 0);
    assert_int_equal(0, v.expires_ns);
    assert_true(v.ttl_remaining_ns > INT64_C(3500) * 1000000000);
    vm_info_done(&v);
    OK(host_vm_pause(t->host, t->account, id, NULL, &e));
    struct vm_exec x = {.argv = (const char *[]){"true"}, .n_argv = 1};
    REFUSED(ERR_CONFLICT, host_vm_exec(t->host, t->account, id, &x, NULL, &e));
    OK(host_vm_resume(t->host, t->account, id, &v, &e));
    assert_int_equal(0, v.paused_ns);
    assert_true(v.expires_ns > 0);
    vm_info_done(&v);
    OK(host_vm_resume(t->host, t->account, id, NULL, &e));
}

static void test_suspend_keeps_memory_and_frees_the_monitor(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "set x 42\nput /f disk");
    OK(host_vm_suspend(t->host, t->account, id, NULL, &e));
    assert_int_equal(VM_SUSPENDED, test_state(t, id));
    assert_int_equal(0, test_count_monitors(t));
    assert_int_equal(0, test_count_entries(t, "vms"));
    test_host_stop(t);
    test_host_start(t);
    assert_int_equal(VM_SUSPENDED, test_state(t, id));
    OK(host_vm_resume(t->host, t->account, id, NULL, &e));
    assert_string_equal("42\ndisk\n", test_script(t, id, "get x\nfile /f"));
    assert_int_equal(0, test_count_entries(t, "suspended"));
}

static void test_stop_keeps_the_disk_and_start_boots_from_it(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "put /f disk");
    OK(host_vm_stop(t->host, t->account, id, 10000, NULL, &e));
    assert_int_equal(VM_STOPPED, test_state(t, id));
    assert_int_equal(0, test_count_monitors(t));
    REFUSED(ERR_CONFLICT, host_vm_pause(t->host, t->account, id, NULL, &e));
    struct vm_patch p = {.what = VM_PATCH_MACHINE_TYPE, .machine_type = "c2m2"};
    OK(host_vm_patch(t->host, t->account, id, &p, NULL, &e));
    struct vm_info v;
    OK(host_vm_start(t->host, t->account, id, &v, &e));
    assert_string_equal("c2m2", v.machine_type);
    assert_int_equal(2, v.shape.vcpus);
    vm_info_done(&v);
    assert_string_equal("disk\n", test_script(t, id, "file /f"));
}

static void test_delete_leaves_nothing(void **state)
{
    struct test_host *t = *state;
    char ids[4][ID_SIZE];
    for (int i = 0; i < 4; i++)
        test_launch_default(t, ids[i]);
    OK(host_vm_pause(t->host, t->account, ids[1], NULL, &e));
    OK(host_vm_suspend(t->host, t->account, ids[2], NULL, &e));
    OK(host_vm_stop(t->host, t->account, ids[3], 0, NULL, &e));
    for (int i = 0; i < 4; i++) {
        OK(host_vm_delete(t->host, t->account, ids[i], &e));
        assert_int_equal(VM_DELETED, test_state(t, ids[i]));
    }
    assert_int_equal(0, test_count_monitors(t));
    static const char *const places[] = {"vms", "suspended", "forks", "consoles"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        assert_int_equal(0, test_count_entries(t, places[i]));
    struct account_info a;
    OK(host_account_get(t->host, t->account, &a, &e));
    assert_int_equal(0, a.usage.vcpus);
    assert_int_equal(0, a.usage.memory_mib);
    assert_int_equal(0, a.usage.disk_bytes);
}

/* --- fork, snapshots --- */

static void test_fork_children_are_their_own(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "set x 1\nput /f one");
    struct vm_fork rq = {.count = 3, .name = "kid"};
    struct vm_fork_result f;
    OK(host_vm_fork(t->host, t->account, id, &rq, &f, &e));
    assert_int_equal(3, f.children.n);
    for (size_t i = 0; i < f.children.n; i++) {
        const struct vm_info *c = &f.children.items[i];
        char name[16], script[64];
        snprintf(name, sizeof(name), "kid-%zu", i + 1);
        assert_string_equal(name, c->name);
        assert_string_equal(id, c->forked_from);
        assert_int_equal(VM_RUNNING, c->state);
        assert_true(f.ready_us[i] > 0);
        assert_string_equal("1\none\n", test_script(t, c->id, "get x\nfile /f"));
        snprintf(script, sizeof(script), "set x %zu\nput /f %zu", i + 10, i + 10);
        test_script(t, c->id, script);
    }
    assert_string_equal("1\none\n", test_script(t, id, "get x\nfile /f"));
    assert_string_equal("11\n11\n", test_script(t, f.children.items[1].id, "get x\nfile /f"));
    assert_int_equal(0, test_count_entries(t, "forks"));
    vm_fork_result_done(&f);
}

static void test_fork_is_bounded(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    for (int n = 0; n <= VM_FORK_MAX + 1; n += VM_FORK_MAX + 1) {
        struct vm_fork rq = {.count = n};
        struct err e = ERR_INIT;
        assert_true(host_vm_fork(t->host, t->account, id, &rq, NULL, &e) < 0);
        assert_string_equal("count", e.field);
    }
}

static void test_fork_beyond_the_quota_leaves_none(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    struct quota limits = {.vcpus = 3, .memory_mib = -1, .disk_bytes = -1, .snapshots = -1};
    test_launch_default(t, id);
    OK(host_account_update(t->host, t->account, NULL, &limits, NULL, &e));
    struct vm_fork rq = {.count = 3};
    REFUSED(ERR_FORBIDDEN, host_vm_fork(t->host, t->account, id, &rq, NULL, &e));
    struct vm_list list;
    OK(host_vm_list(t->host, t->account, &list, &e));
    assert_int_equal(1, list.n);
    vm_list_done(&list);
    rq.count = 2;
    OK(host_vm_fork(t->host, t->account, id, &rq, NULL, &e));
}

static void test_snapshot_outlives_its_vm_and_its_own_deletion(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "set x 7");
    struct snapshot_info s;
    OK(host_snapshot_create(t->host, t->account, id, "", &s, &e));
    assert_memory_equal("snapshot-", s.name, 9);
    assert_int_equal(SNAPSHOT_READY, s.state);
    OK(host_vm_delete(t->host, t->account, id, &e));
    struct vm_info a, b;
    test_launch(t, &(struct vm_launch){.snapshot = s.id}, &a);
    assert_string_equal(s.name, a.source);
    assert_string_equal("7\n", test_script(t, a.id, "get x"));
    test_launch(t, &(struct vm_launch){.snapshot = s.id}, &b);
    OK(host_snapshot_delete(t->host, t->account, s.id, &e));
    REFUSED(ERR_NOT_FOUND, host_snapshot_get(t->host, t->account, s.id, NULL, &e));
    assert_int_equal(0, test_count_entries(t, "snapshots"));
    assert_string_equal("7\n", test_script(t, b.id, "get x"));
    OK(host_vm_suspend(t->host, t->account, b.id, NULL, &e));
    OK(host_vm_resume(t->host, t->account, b.id, NULL, &e));
    assert_string_equal("7\n", test_script(t, b.id, "get x"));
    struct vm_launch rq = {.account = t->account, .snapshot = s.id};
    REFUSED(ERR_NOT_FOUND, host_vm_launch(t->host, &rq, NULL, &e));
    vm_info_done(&a);
    vm_info_done(&b);
    snapshot_info_done(&s);
}

static void test_snapshots_of_another_account_are_not_there(void **state)
{
    struct test_host *t = *state;
    struct account_info other;
    struct snapshot_info s;
    char id[ID_SIZE];
    test_launch_default(t, id);
    OK(host_snapshot_create(t->host, t->account, id, "mine", &s, &e));
    OK(host_account_create(t->host, "other", NULL, &other, &e));
    REFUSED(ERR_NOT_FOUND, host_snapshot_get(t->host, other.id, s.id, NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_snapshot_rename(t->host, other.id, s.id, "x", NULL, &e));
    REFUSED(ERR_NOT_FOUND, host_snapshot_delete(t->host, other.id, s.id, &e));
    struct vm_launch rq = {.account = other.id, .snapshot = s.id};
    REFUSED(ERR_NOT_FOUND, host_vm_launch(t->host, &rq, NULL, &e));
    snapshot_info_done(&s);
}

/* --- restarts --- */

static void test_vms_outlive_the_daemon(void **state)
{
    struct test_host *t = *state;
    char running[ID_SIZE], paused[ID_SIZE];
    test_launch_default(t, running);
    test_launch_default(t, paused);
    test_script(t, running, "set x 1");
    test_script(t, paused, "set x 2");
    OK(host_vm_pause(t->host, t->account, paused, NULL, &e));
    test_host_stop(t);
    assert_int_equal(2, test_count_monitors(t));
    test_host_start(t);
    assert_int_equal(VM_RUNNING, test_state(t, running));
    assert_int_equal(VM_PAUSED, test_state(t, paused));
    assert_string_equal("1\n", test_script(t, running, "get x"));
    OK(host_vm_resume(t->host, t->account, paused, NULL, &e));
    assert_string_equal("2\n", test_script(t, paused, "get x"));
}

static void test_a_vm_whose_monitor_died_is_lost_and_can_be_started(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    test_script(t, id, "put /f kept");
    test_kill_monitors(t);
    test_await_state(t, id, VM_LOST);
    struct vm_exec x = {.argv = (const char *[]){"true"}, .n_argv = 1};
    REFUSED(ERR_CONFLICT, host_vm_exec(t->host, t->account, id, &x, NULL, &e));
    OK(host_vm_start(t->host, t->account, id, NULL, &e));
    assert_string_equal("kept\n", test_script(t, id, "file /f"));
}

static void test_a_guest_that_turns_itself_off_is_stopped(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE];
    test_launch_default(t, id);
    const char *argv[] = {"sh", "-c", "die"};
    struct vm_exec x = {.argv = argv, .n_argv = 3};
    REFUSED(ERR_UNAVAILABLE, host_vm_exec(t->host, t->account, id, &x, NULL, &e));
    test_await_state(t, id, VM_STOPPED);
}

/* --- timers, quotas, pool --- */

static void test_ttl_acts(void **state)
{
    struct test_host *t = *state;
    struct vm_info v;
    test_launch(t, &(struct vm_launch){.ttl = {1, VM_ACTION_SUSPEND}}, &v);
    test_await_state(t, v.id, VM_SUSPENDED);
    vm_info_done(&v);
}

static void test_quota_says_which_and_how_much(void **state)
{
    struct test_host *t = *state;
    struct quota limits = {.vcpus = -1, .memory_mib = 300, .disk_bytes = -1, .snapshots = -1};
    char id[ID_SIZE];
    OK(host_account_update(t->host, t->account, NULL, &limits, NULL, &e));
    test_launch_default(t, id);
    struct vm_launch rq = {.account = t->account};
    struct err own = ERR_INIT;
    assert_true(host_vm_launch(t->host, &rq, NULL, &own) < 0);
    assert_int_equal(ERR_FORBIDDEN, own.class);
    assert_non_null(strstr(own.text, "300"));
    /* A suspended VM gives its memory back, and needs it again. */
    OK(host_vm_suspend(t->host, t->account, id, NULL, &e));
    char second[ID_SIZE];
    test_launch_default(t, second);
    REFUSED(ERR_FORBIDDEN, host_vm_resume(t->host, t->account, id, NULL, &e));
    assert_int_equal(VM_SUSPENDED, test_state(t, id));
}

static void test_full_host_queues_and_then_refuses(void **state)
{
    static const char *const settings[] = {"limits.vms_max=1", "limits.queue_max=1", NULL};
    struct test_host t;
    char id[ID_SIZE];
    test_host_init(&t, settings);
    test_launch_default(&t, id);
    struct vm_launch rq = {.account = t.account};
    struct vm_info queued;
    OK(host_vm_launch(t.host, &rq, &queued, &e));
    assert_int_equal(VM_STARTING, queued.state);
    REFUSED(ERR_FULL, host_vm_launch(t.host, &rq, NULL, &e));
    OK(host_vm_delete(t.host, t.account, id, &e));
    test_await_state(&t, queued.id, VM_RUNNING);
    vm_info_done(&queued);
    test_host_done(&t);
}

static void test_pool_gives_its_vm_away(void **state)
{
    static const char *const settings[] = {"pool.vms=1", NULL};
    struct test_host t;
    char first[ID_SIZE], second[ID_SIZE];
    test_host_init(&t, settings);
    test_launch_default(&t, first);
    test_launch_default(&t, second);
    assert_string_equal("ok\n", test_script(&t, first, "print ok"));
    assert_string_equal("ok\n", test_script(&t, second, "print ok"));
    assert_true(strcmp(first, second) != 0);
    test_host_done(&t);
}

/* --- inside --- */

static void test_files_go_both_ways(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE], room[64];
    test_launch_default(t, id);
    struct vm_stream *s = NULL;
    struct guest_file f = {.path = "/d/f", .mode = 0640};
    OK(host_vm_file_write(t->host, t->account, id, &f, &s, &e));
    OK(vm_stream_write(s, "hello ", 6, &e));
    OK(vm_stream_write(s, "world", 5, &e));
    OK(vm_stream_finish(s, &e));
    vm_stream_free(s);
    OK(host_vm_file_read(t->host, t->account, id, &(struct guest_range){"/d/f", 6, 3}, &s, &e));
    struct err own = ERR_INIT;
    assert_int_equal(3, vm_stream_read(s, room, sizeof(room), &own));
    assert_memory_equal("wor", room, 3);
    assert_int_equal(0, vm_stream_read(s, room, sizeof(room), &own));
    vm_stream_free(s);
    struct guest_stat st;
    OK(host_vm_stat(t->host, t->account, id, "/d/f", &st, &e));
    assert_int_equal(11, st.size);
    OK(host_vm_remove(t->host, t->account, id, "/d/f", &e));
    REFUSED(ERR_NOT_FOUND, host_vm_stat(t->host, t->account, id, "/d/f", &st, &e));
    REFUSED(ERR_NOT_FOUND, host_vm_file_read(t->host, t->account, id,
                                             &(struct guest_range){"/no", 0, -1}, &s, &e));
}

static void test_jobs_run_on_through_a_restart(void **state)
{
    struct test_host *t = *state;
    char id[ID_SIZE], job[ID_SIZE];
    test_launch_default(t, id);
    const char *argv[] = {"sh", "-c", "print one\nhang"};
    struct vm_exec x = {.argv = argv, .n_argv = 3};
    OK(host_vm_job_start(t->host, t->account, id, &x, job, &e));
    test_host_stop(t);
    test_host_start(t);
    struct guest_jobs jobs;
    OK(host_vm_jobs(t->host, t->account, id, NULL, &jobs, &e));
    assert_int_equal(1, jobs.n);
    assert_string_equal(job, jobs.items[0].id);
    assert_true(jobs.items[0].running);
    assert_int_equal(4, jobs.items[0].output_bytes);
    guest_jobs_done(&jobs);
    REFUSED(ERR_CONFLICT, host_vm_job_forget(t->host, t->account, id, job, &e));
    OK(host_vm_job_signal(t->host, t->account, id, job, 9, &e));
}

static void test_env_of_the_vm_reaches_its_commands(void **state)
{
    struct test_host *t = *state;
    json_t *env = json_pack("{s:s}", "COLOUR", "blue");
    struct vm_info v;
    test_launch(t, &(struct vm_launch){.env = env}, &v);
    json_decref(env);
    assert_string_equal("blue\n", test_script(t, v.id, "env COLOUR"));
    vm_info_done(&v);
}

static void test_names_are_cut_between_characters(void **state)
{
    char ret[VM_NAME_SIZE], long_name[400] = "";
    for (int i = 0; i < 70; i++)
        strcat(long_name, "\xc3\xa9");
    host_clean_name(long_name, ret);
    assert_int_equal(128, strlen(ret));
    host_clean_name("\n a\t\tb \r", ret);
    assert_string_equal("a b", ret);
    host_clean_name(" \t ", ret);
    assert_string_equal("", ret);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_host_setup, test_host_teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    const struct CMUnitTest tests[] = {
        TEST(test_launch_fills_what_was_not_asked),
        TEST(test_launch_names_the_field_at_fault),
        TEST(test_another_accounts_vms_are_not_there),
        TEST(test_patch_changes_only_what_it_names),
        TEST(test_pause_freezes_the_ttl),
        TEST(test_suspend_keeps_memory_and_frees_the_monitor),
        TEST(test_stop_keeps_the_disk_and_start_boots_from_it),
        TEST(test_delete_leaves_nothing),
        TEST(test_fork_children_are_their_own),
        TEST(test_fork_is_bounded),
        TEST(test_fork_beyond_the_quota_leaves_none),
        TEST(test_snapshot_outlives_its_vm_and_its_own_deletion),
        TEST(test_snapshots_of_another_account_are_not_there),
        TEST(test_vms_outlive_the_daemon),
        TEST(test_a_vm_whose_monitor_died_is_lost_and_can_be_started),
        TEST(test_a_guest_that_turns_itself_off_is_stopped),
        TEST(test_ttl_acts),
        TEST(test_quota_says_which_and_how_much),
        cmocka_unit_test(test_full_host_queues_and_then_refuses),
        cmocka_unit_test(test_pool_gives_its_vm_away),
        TEST(test_files_go_both_ways),
        TEST(test_jobs_run_on_through_a_restart),
        TEST(test_env_of_the_vm_reaches_its_commands),
        cmocka_unit_test(test_names_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

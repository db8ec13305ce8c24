/* SPDX-License-Identifier: Apache-2.0 */

/* A property: whatever is done to VMs in whatever order, the host says and keeps what a simple
 * model says. The model knows of each VM its state, one value in memory and one on its disk; of
 * each snapshot the two values. Random operations, legal and illegal ones, restarts of the daemon
 * among them, are applied to both and compared after each.
 *
 *     vms_model_test ENGINE_DIR [SEED [STEPS]]
 *
 * The seed is printed; the same one does the same again. */

#include "host/test_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

#define VMS_MAX 8
#define SNAPSHOTS_MAX 6

struct model_vm {
    char id[ID_SIZE]; /* "": a free place */
    enum vm_state state;
    int memory; /* 0: never set */
    int disk;
};

struct model_snapshot {
    char id[ID_SIZE];
    int memory, disk;
};

static struct {
    struct test_host t;
    struct model_vm vms[VMS_MAX];
    struct model_snapshot snapshots[SNAPSHOTS_MAX];
    unsigned seed;
    int step;
    int value; /* the next to be written: all differ */
} m;

static int steps = 400;

static int roll(int n)
{
    return rand_r(&m.seed) % n;
}

static struct model_vm *any_vm(void)
{
    struct model_vm *v = &m.vms[roll(VMS_MAX)];
    return v->id[0] ? v : NULL;
}

static struct model_vm *free_vm(void)
{
    for (int i = 0; i < VMS_MAX; i++) {
        if (!m.vms[i].id[0])
            return &m.vms[i];
    }
    return NULL;
}

/* What came of an operation that is legal, or refused as a conflict. */
static bool agreed(const char *what, const struct model_vm *v, bool legal, int r,
                   const struct err *e)
{
    if (legal && r < 0)
        fail_msg("step %d: %s of a vm that is %s: %s", m.step, what, lifecycle_state_name(v->state),
                 e->text);
    if (!legal && (r == 0 || e->class != ERR_CONFLICT))
        fail_msg("step %d: %s of a vm that is %s gave %d %s", m.step, what,
                 lifecycle_state_name(v->state), r, e->text);
    return legal;
}

/* --- operations --- */

static void launch(void)
{
    struct model_vm *v = free_vm();
    struct model_snapshot *s = &m.snapshots[roll(SNAPSHOTS_MAX)];
    bool from = s->id[0] && roll(2);
    struct vm_info info;
    if (!v)
        return;
    test_launch(&m.t, &(struct vm_launch){.snapshot = from ? s->id : NULL}, &info);
    *v = (struct model_vm){.state = VM_RUNNING};
    memcpy(v->id, info.id, sizeof(v->id));
    if (from) {
        v->memory = s->memory;
        v->disk = s->disk;
    }
    vm_info_done(&info);
}

static void write_values(void)
{
    struct model_vm *v = any_vm();
    char script[64];
    if (!v || v->state != VM_RUNNING)
        return;
    v->memory = ++m.value;
    v->disk = ++m.value;
    snprintf(script, sizeof(script), "set x %d\nput /f %d", v->memory, v->disk);
    test_script(&m.t, v->id, script);
}

static void pause_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    if (!v)
        return;
    int r = host_vm_pause(m.t.host, m.t.account, v->id, NULL, &e);
    if (agreed("pause", v, v->state == VM_RUNNING || v->state == VM_PAUSED, r, &e))
        v->state = VM_PAUSED;
}

static void resume_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    if (!v)
        return;
    int r = host_vm_resume(m.t.host, m.t.account, v->id, NULL, &e);
    if (agreed("resume", v, v->state != VM_STOPPED, r, &e))
        v->state = VM_RUNNING;
}

static void suspend_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    if (!v)
        return;
    int r = host_vm_suspend(m.t.host, m.t.account, v->id, NULL, &e);
    if (agreed("suspend", v, v->state != VM_STOPPED, r, &e))
        v->state = VM_SUSPENDED;
}

static void stop_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    if (!v)
        return;
    int r = host_vm_stop(m.t.host, m.t.account, v->id, roll(2) ? 5000 : 0, NULL, &e);
    if (!agreed("stop", v, v->state != VM_SUSPENDED, r, &e) || v->state == VM_STOPPED)
        return;
    v->state = VM_STOPPED;
    v->memory = 0;
}

static void start_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    if (!v)
        return;
    int r = host_vm_start(m.t.host, m.t.account, v->id, NULL, &e);
    if (agreed("start", v, v->state == VM_STOPPED || v->state == VM_RUNNING, r, &e))
        v->state = VM_RUNNING;
}

static bool can_be_captured(const struct model_vm *v)
{
    return v->state == VM_RUNNING || v->state == VM_PAUSED;
}

static void fork_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm(), *place;
    struct vm_fork rq = {.count = 1 + roll(2)};
    struct vm_fork_result f = {0};
    if (!v)
        return;
    int r = host_vm_fork(m.t.host, m.t.account, v->id, &rq, &f, &e);
    if (!agreed("fork", v, can_be_captured(v), r, &e))
        return;
    for (size_t i = 0; i < f.children.n; i++) {
        if ((place = free_vm())) {
            *place = *v;
            place->state = VM_RUNNING;
            memcpy(place->id, f.children.items[i].id, sizeof(place->id));
        } else if (host_vm_delete(m.t.host, m.t.account, f.children.items[i].id, &e) < 0) {
            fail_msg("delete: %s", e.text);
        }
    }
    vm_fork_result_done(&f);
}

static void snapshot_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    struct model_snapshot *s = &m.snapshots[roll(SNAPSHOTS_MAX)];
    struct snapshot_info info = {0};
    if (!v || s->id[0])
        return;
    int r = host_snapshot_create(m.t.host, m.t.account, v->id, NULL, &info, &e);
    if (!agreed("snapshot", v, can_be_captured(v), r, &e))
        return;
    *s = (struct model_snapshot){.memory = v->memory, .disk = v->disk};
    memcpy(s->id, info.id, sizeof(s->id));
    snapshot_info_done(&info);
}

static void delete_snapshot(void)
{
    struct err e = ERR_INIT;
    struct model_snapshot *s = &m.snapshots[roll(SNAPSHOTS_MAX)];
    if (!s->id[0])
        return;
    if (host_snapshot_delete(m.t.host, m.t.account, s->id, &e) < 0)
        fail_msg("step %d: delete a snapshot: %s", m.step, e.text);
    s->id[0] = '\0';
}

static void delete_vm(void)
{
    struct err e = ERR_INIT;
    struct model_vm *v = any_vm();
    if (!v)
        return;
    if (host_vm_delete(m.t.host, m.t.account, v->id, &e) < 0)
        fail_msg("step %d: delete a vm that is %s: %s", m.step, lifecycle_state_name(v->state),
                 e.text);
    v->id[0] = '\0';
}

static void restart(void)
{
    test_host_stop(&m.t);
    test_host_start(&m.t);
}

/* --- comparing --- */

static void compare_values(const struct model_vm *v)
{
    char expected[64], memory[16], disk[16];
    if (v->state != VM_RUNNING || !v->disk)
        return;
    snprintf(memory, sizeof(memory), "%d", v->memory);
    snprintf(disk, sizeof(disk), "%d", v->disk);
    snprintf(expected, sizeof(expected), "%s%s%s\n", v->memory ? memory : "", v->memory ? "\n" : "",
             disk);
    const char *found = test_script(&m.t, v->id, v->memory ? "get x\nfile /f" : "file /f");
    if (strcmp(expected, found) != 0)
        fail_msg("step %d: vm has \"%s\", not \"%s\"", m.step, found, expected);
}

static void compare(void)
{
    struct err e = ERR_INIT;
    struct vm_list list;
    size_t n = 0;
    int monitors = 0;
    for (int i = 0; i < VMS_MAX; i++) {
        const struct model_vm *v = &m.vms[i];
        if (!v->id[0])
            continue;
        n++;
        monitors += v->state == VM_RUNNING || v->state == VM_PAUSED;
        if (test_state(&m.t, v->id) != v->state)
            fail_msg("step %d: vm is %s, not %s", m.step,
                     lifecycle_state_name(test_state(&m.t, v->id)), lifecycle_state_name(v->state));
        compare_values(v);
    }
    assert_int_equal(0, host_vm_list(m.t.host, m.t.account, &list, &e));
    assert_int_equal(n, list.n);
    vm_list_done(&list);
    assert_int_equal(monitors, test_count_monitors(&m.t));
    assert_int_equal(0, test_count_entries(&m.t, "forks"));
}

static void test_the_host_does_as_the_model(void **state)
{
    static void (*const operations[])(void) = {
        launch,     launch,    write_values,    write_values, pause_vm, resume_vm,
        suspend_vm, resume_vm, stop_vm,         start_vm,     fork_vm,  snapshot_vm,
        delete_vm,  start_vm,  delete_snapshot, restart,
    };
    print_message("seed %u\n", m.seed);
    test_host_init(&m.t, NULL);
    for (m.step = 1; m.step <= steps; m.step++) {
        operations[roll(ARRAY_SIZE(operations))]();
        compare();
    }
}

/* Whatever happened. */
static int end(void **state)
{
    test_host_done(&m.t);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    m.seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)time(NULL);
    if (argc > 3)
        steps = atoi(argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_the_host_does_as_the_model, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

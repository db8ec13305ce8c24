/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lifecycle.h"

#include <errno.h>

#include "base/test.h"

static void test_a_life(void **state)
{
    static const struct {
        enum vm_event event;
        enum vm_state then;
    } steps[] = {
        {VM_EV_START, VM_STARTING},     {VM_EV_READY, VM_RUNNING},   {VM_EV_PAUSE, VM_PAUSING},
        {VM_EV_DONE, VM_PAUSED},        {VM_EV_RESUME, VM_RESUMING}, {VM_EV_READY, VM_RUNNING},
        {VM_EV_SUSPEND, VM_SUSPENDING}, {VM_EV_DONE, VM_SUSPENDED},  {VM_EV_RESUME, VM_RESUMING},
        {VM_EV_READY, VM_RUNNING},      {VM_EV_STOP, VM_STOPPING},   {VM_EV_DONE, VM_STOPPED},
        {VM_EV_DELETE, VM_DELETING},    {VM_EV_DONE, VM_DELETED},
    };
    enum vm_state s = VM_BUILDING;
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        assert_int_equal(lifecycle_move(&s, steps[i].event, "x", NULL), 0);
        assert_int_equal(s, steps[i].then);
    }
}

/* Every pair that is not legal leaves the state alone and names VM, state and event. */
static void test_illegal(void **state)
{
    int legal = 0;
    for (int from = 0; from < VM_STATE_COUNT; from++) {
        for (int ev = 0; ev < VM_EVENT_COUNT; ev++) {
            enum vm_state s = (enum vm_state)from;
            struct err e = ERR_INIT;
            int r = lifecycle_move(&s, (enum vm_event)ev, "abc", &e);
            assert_int_equal(r == 0, lifecycle_allows((enum vm_state)from, (enum vm_event)ev));
            legal += r == 0;
            if (r == 0)
                continue;
            assert_int_equal(r, -EBUSY);
            assert_int_equal(s, from);
            assert_int_equal(e.class, ERR_CONFLICT);
            assert_non_null(strstr(e.text, "vm abc is "));
            assert_non_null(strstr(e.text, lifecycle_state_name((enum vm_state)from)));
            assert_non_null(strstr(e.text, lifecycle_event_name((enum vm_event)ev)));
        }
    }
    assert_int_equal(legal, 38);
}

/* A deleted VM stays deleted; every other state leads to it. */
static void test_all_can_be_deleted(void **state)
{
    for (int ev = 0; ev < VM_EVENT_COUNT; ev++)
        assert_false(lifecycle_allows(VM_DELETED, (enum vm_event)ev));
    bool reaches[VM_STATE_COUNT] = {[VM_DELETED] = true};
    for (int round = 0; round < VM_STATE_COUNT; round++) {
        for (int from = 0; from < VM_STATE_COUNT; from++) {
            for (int ev = 0; ev < VM_EVENT_COUNT; ev++) {
                enum vm_state s = (enum vm_state)from;
                if (lifecycle_move(&s, (enum vm_event)ev, "x", NULL) == 0 && reaches[s])
                    reaches[from] = true;
            }
        }
    }
    for (int from = 0; from < VM_STATE_COUNT; from++)
        assert_true(reaches[from]);
}

static void test_names(void **state)
{
    for (int i = 0; i < VM_STATE_COUNT; i++) {
        enum vm_state back = VM_STATE_COUNT;
        assert_true(lifecycle_state_parse(lifecycle_state_name((enum vm_state)i), &back));
        assert_int_equal(back, i);
    }
    enum vm_state s = VM_RUNNING;
    assert_false(lifecycle_state_parse("flying", &s));
    assert_string_equal(lifecycle_state_name((enum vm_state)99), "unknown");
    assert_string_equal(lifecycle_event_name((enum vm_event)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_illegal),
        cmocka_unit_test(test_all_can_be_deleted),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

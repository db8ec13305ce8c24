/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests of the fake engine with real monitors: one VM in a directory of the test's own.
 * HOLM_FAKE_HELPER_DIR: where the monitor's program is. One thread. */

#include "engine/engine.h"
#include "engine/fake/test_guest.h"

struct fixture {
    struct engine *engine;
    char dir[64], vm_dir[128], file[128], template_dir[128];
    struct vm_spec spec;
    struct monitor m;
    struct test_guest guest;
};

#define TEST_ENGINE(name) \
    cmocka_unit_test_setup_teardown(name, test_engine_setup, test_engine_teardown)

int test_engine_setup(void **state);
int test_engine_teardown(void **state);

struct engine *test_engine_new(const char *faults);

/* Boots the VM; makes the engine, with these faults, when there is none. */
void test_boot(struct fixture *f, const char *faults);
void test_boot_connected(struct fixture *f);
/* Connects to the guest's agent; a former connection is closed. */
void test_connect(struct fixture *f);
/* Ends the monitor. */
void test_kill(struct fixture *f);
/* Into f->template_dir, and back from there (connected). */
void test_capture(struct fixture *f, enum capture_kind kind);
void test_restore(struct fixture *f);

enum monitor_state test_state(struct fixture *f);
void test_assert_no_sockets(const char *vm_dir);
/* Runs a program to its end; this is what it prints. */
void test_run(struct fixture *f, const char *text, const char *expected);

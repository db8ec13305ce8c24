/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: a real host on the fake engine, in a directory of its own, without networks. Failures
 * end the test by cmocka's assertions. */

#include "base/test.h"

#include "host/accounts.h"
#include "host/config.h"
#include "host/host.h"
#include "host/vms.h"
#include "host/vms_guest.h"

struct test_host {
    char dir[64];
    struct config config;
    struct host *host;
    char account[ID_SIZE]; /* the first one */
};

/* `settings` ("section.key=value", ends with NULL) may be NULL. */
void test_host_init(struct test_host *t, const char *const *settings);
void test_host_start(struct test_host *t);
/* As SIGTERM does it: VMs that live run on. */
void test_host_stop(struct test_host *t);
/* Stops it, ends the monitors that are left, removes the directory. */
void test_host_done(struct test_host *t);

/* For cmocka: a host of the test's own, by default or with settings, and its end. */
int test_host_setup_with(void **state, const char *const *settings);
int test_host_setup(void **state);
int test_host_teardown(void **state);

/* `r` is a failure of this class, whose sentence has `text` in it. */
void test_assert_err(int r, const struct err *e, enum err_class class, const char *text);

/* Launches one of the default image and waits until it runs. */
void test_launch(struct test_host *t, const struct vm_launch *rq, struct vm_info *ret);
void test_launch_default(struct test_host *t, char ret_id[ID_SIZE]);

enum vm_state test_state(struct test_host *t, const char *id);
/* Waits for it; a minute at the most. */
void test_await_state(struct test_host *t, const char *id, enum vm_state state);

/* Runs a script of the fake's language and returns its standard output. The exit code must be 0. */
const char *test_script(struct test_host *t, const char *id, const char *script);

/* Monitors whose directories are below the host's. */
int test_count_monitors(const struct test_host *t);
/* SIGKILL for all of them. */
void test_kill_monitors(const struct test_host *t);
/* Entries of DATA/name. */
int test_count_entries(const struct test_host *t, const char *name);

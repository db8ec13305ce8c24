/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of the real engine share: a parent that was booted once, its template, and short
 * ways to start, capture, ask and end VMs. Everything here fails the test when it does not work. */

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/test.h"
#include "engine/engine.h"
#include "engine/qemu/test_guest.h"

#define VMS_MAX 128

struct rig {
    struct engine *en;
    char *dir;
    struct test_guest guest;
    struct monitor parent;
    int parent_fd;
    char first[256];             /* the template taken from the parent right after boot */
    struct monitor all[VMS_MAX]; /* every VM ever started, for the end */
    int n;
};
extern struct rig t;

#define OK(call)                                      \
    do {                                              \
        struct err e = ERR_INIT;                      \
        int r_ = (call);                              \
        if (r_ < 0)                                   \
            fail_msg("%s: %d %s", #call, r_, e.text); \
    } while (0)

int rig_setup(void **state);
int rig_teardown(void **state);

/* A directory, id and uid for one more VM. */
struct vm_spec rig_spec(char id[ID_SIZE], char dir[256]);
/* Starts what the spec tells. */
struct monitor rig_boot(const struct vm_spec *spec);
struct monitor rig_restore(const char *template_dir);
int rig_connect(const struct monitor *m);
enum monitor_state rig_state(const struct monitor *m);
void rig_kill(const struct monitor *m);
/* Captures into the new directory `name` of the rig's, whose path goes to `ret`. */
struct capture_times rig_capture(const struct monitor *m, const char *name, enum capture_kind kind,
                                 char ret[256]);

/* What a guest remembers in memory and on disk. */
void rig_remember(int fd, const char *word);
void rig_assert_remembers(int fd, const char *word);
/* Asserts what a command answers. */
void rig_assert_says(int fd, const char *command, const char *expected);

/* The tests of the other files. */
void test_console(void **state);
void test_network(void **state);
void test_descendants(void **state);
void test_suspend(void **state);
void test_full_disk(void **state);
void test_damage(void **state);
void test_flatten(void **state);
void test_never_flattened(void **state);
void test_killed_flatten(void **state);
void test_lost_monitor(void **state);
void test_resize(void **state);

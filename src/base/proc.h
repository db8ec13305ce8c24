/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Running helper programs (qemu-img, ip, ...) and naming processes across a restart of the daemon.
 * Never a shell. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Runs `argv` (argv[0] searched in PATH, stdin /dev/null) to its end and appends stdout+stderr to
 * `ret_out` (may be NULL). Non-zero exit, a signal or `timeout_ms` is an error whose text holds the
 * command's last line. The process group is killed at the timeout. Any thread. */
int proc_run(const char *const argv[], int timeout_ms, struct buf *ret_out, struct err *e);

/* A pid is reused, a pid together with its start time is not. Start time: field 22 of
 * /proc/PID/stat, in clock ticks since boot. */
struct proc_ref {
    pid_t pid;
    uint64_t start_ticks;
};

/* Fills the start time of a living process; -ESRCH when there is none. */
int proc_ref_of(pid_t pid, struct proc_ref *ret);

/* Opens a pidfd for exactly that process; -ESRCH when it has ended or the pid belongs to another by
 * now. */
int proc_ref_open(const struct proc_ref *ref);

/* Waits until the process behind a pidfd has ended, reaping it when it is our child; -ETIMEDOUT.
 * timeout_ms < 0: for ever. `ret_status` (may be NULL) gets si_status of a child, -1 otherwise. */
int proc_wait(int pidfd, int timeout_ms, int *ret_status);

/* Whether that process has ended; a child that did is not reaped. */
bool proc_has_ended(const struct proc_ref *ref);

/* SIGKILL by pidfd, then proc_wait. Ended already is fine. */
int proc_kill_wait(int pidfd, int timeout_ms);

/* Sets the nice value of every thread of a process (Linux keeps one for each thread). A process
 * that has ended is fine. */
void proc_set_nice(pid_t pid, int nice);

/* The same for the calling thread, and for the processes and threads it will start. */
void proc_set_own_nice(int nice);

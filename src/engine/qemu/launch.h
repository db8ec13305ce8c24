/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starts a monitor through holm-jail, a small static program that sets up its jail, becomes nobody
 * and turns into it. The daemon, which has threads, only ever posix_spawns. The new process is the
 * daemon's child (so its end can be waited for) but in a session of its own, and outlives it.
 *
 * Use: zero-initialise with LAUNCH_INIT, give descriptors and files (each give returns the number
 * the monitor will know it by), fill `program`, run. Thread: the caller's. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/proc.h"
#include "engine/qemu/argv.h"

#define LAUNCH_FDS_MAX 96
#define LAUNCH_FIRST_FD 4 /* 0-2 are standard, 3 is the launcher's report */

struct launch {
    int fds[LAUNCH_FDS_MAX]; /* ours; the monitor sees fds[i] as LAUNCH_FIRST_FD + i */
    int n_fds;
    struct argv program;    /* what to become, program[0] an absolute path */
    struct buf files;       /* HOLM_FILES for the preload library */
    const char *helper_dir; /* holm-jail and holm-rofile.so */
    const char *vm_dir;     /* monitor.log goes here; mount point of the jail's root */
    bool jail;              /* false: only a session of its own */
    uid_t uid;              /* jail: uid and gid */
    uint64_t file_bytes;    /* jail: how long a file it writes can get */
    uint64_t memory_bytes;  /* jail: its address space; 0: no bound */
    int out_fd;             /* its standard output, the caller's; 0: the log */
    struct argv cgroups;    /* cgroup.procs files to join */
    struct argv binds;      /* jail: files to show under /, by their last component */
};

/* Gives a descriptor; it stays the caller's. Returns its future number or a negative errno. */
int launch_give(struct launch *l, int fd, struct err *e);

/* Opens `path` with `flags` and gives that. */
int launch_give_file(struct launch *l, const char *path, int flags, struct err *e);

/* Opens `path` read-only; the monitor finds it when it opens `name`. Returns 0. */
int launch_show(struct launch *l, const char *path, int flags, const char *name, struct err *e);

/* Returns once the program runs. When it cannot be run, nothing is left and `e` says which step
 * failed. */
int launch_run(struct launch *l, struct proc_ref *ret, struct err *e);

void launch_done(struct launch *l);
#define auto_launch CLEANUP(launch_done)

/* The last line that the monitor wrote to its log, "" when none. */
void launch_last_words(const char *vm_dir, char *ret, size_t size);

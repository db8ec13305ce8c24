/* SPDX-License-Identifier: Apache-2.0 */

/* Why tar and no library: it is on every Debian (an essential package), knows sparse files and
 * long names, and refuses names that lead out of its directory. What it unpacks was packed in a
 * guest: it may say anything. Set-id bits are dropped, owners are ours, and device files cannot be
 * made: as root they would be doors into this machine. */

#include "cli/cp_tar.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/cleanup.h"

extern char **environ;

/* The signals that we have blocked (interrupt.h) or ignored are its own again, so Ctrl-C ends it as
 * well. */
static int spawn(const char *const argv[], int child_fd, int target_fd, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, pipe_only;
    sigemptyset(&none);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child_fd, target_fd);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &pipe_only);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    /* With no umask, "permissions but for the set-id bits" is what --no-same-permissions does. */
    mode_t mask = umask(0);
    int r = posix_spawnp(ret, argv[0], &actions, &attr, (char **)argv, environ);
    umask(mask);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int start(const char *const argv[], bool packs, struct cp_tar *ret, struct err *e)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(e, -errno, "make a pipe");
    auto_close int ours = fds[packs ? 0 : 1];
    auto_close int theirs = fds[packs ? 1 : 0];
    pid_t pid;
    int r = spawn(argv, theirs, packs ? STDOUT_FILENO : STDIN_FILENO, &pid);
    if (r == -ENOENT)
        return err_set(e, ERR_UNAVAILABLE,
                       "directories are copied with tar, which is not here; install it");
    if (r < 0)
        return err_errno(e, r, "start tar");
    *ret = (struct cp_tar){.pid = pid, .fd = TAKE_FD(ours)};
    return 0;
}

int cp_tar_pack(const char *dir, struct cp_tar *ret, struct err *e)
{
    const char *const argv[] = {"tar", "--create",  "--file=-",  "--directory",
                                dir,   "--owner=0", "--group=0", "--numeric-owner",
                                "--",  ".",         NULL};
    return start(argv, true, ret, e);
}

/* From here on neither we nor what we start can make device files. Whoever may not change the set
 * has no such right to begin with, or else tar must not run. */
static int forgo_devices(struct err *e)
{
    if (prctl(PR_CAPBSET_DROP, CAP_MKNOD) == 0 || geteuid() != 0 ||
        prctl(PR_CAPBSET_READ, CAP_MKNOD) == 0)
        return 0;
    return err_set(e, ERR_UNAVAILABLE,
                   "what a VM sends could make device files here, since this root may do that and "
                   "may not give it up; copy as another user");
}

int cp_tar_unpack(const char *dir, struct cp_tar *ret, struct err *e)
{
    int r = forgo_devices(e);
    if (r < 0)
        return r;
    const char *const argv[] = {"tar",
                                "--extract",
                                "--file=-",
                                "--directory",
                                dir,
                                "--no-same-owner",
                                "--no-same-permissions",
                                NULL};
    return start(argv, false, ret, e);
}

static int reap(struct cp_tar *t)
{
    int status = 0;
    if (t->fd >= 0)
        close(t->fd);
    while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
        ;
    t->pid = 0;
    t->fd = -1;
    return status;
}

int cp_tar_finish(struct cp_tar *t, struct err *e)
{
    int status = reap(t);
    if (status == 0)
        return 0;
    return err_set(e, ERR_UNAVAILABLE,
                   "tar did not copy everything (it ended with %d); its words are above",
                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void cp_tar_done(struct cp_tar *t)
{
    if (t->pid)
        reap(t);
}

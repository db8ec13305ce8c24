/* SPDX-License-Identifier: Apache-2.0 */

/* Programs of builds. Each runs in a PID namespace of its own where that is allowed: when its first
 * process ends, for whatever reason, the kernel ends all that it started, and that one is killed
 * with the thread that started it. So nothing builds on behind a daemon that is gone. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/argv.h"
#include "host/builds.h"

#define PIECE_BYTES 4096

extern char **environ;

struct run {
    struct build *build;
    const struct build_program *program;
    pid_t pid;
    int out, progress; /* our ends; negative: at their end */
    int64_t kill_ms;   /* when it is killed; 0: not yet */
    bool cancelled, killed;
    struct buf line;
};

static int spawn(struct run *run, int out, int progress)
{
    auto_argv struct argv argv = {0};
    if (geteuid() == 0) {
        /* unshare itself ignores SIGTERM, and ends with what its child ended with. */
        static const char *const wrap[] = {"setpriv", "--pdeathsig", "KILL",         "unshare",
                                           "--pid",   "--fork",      "--kill-child", "--"};
        for (size_t i = 0; i < ARRAY_SIZE(wrap); i++)
            argv_add(&argv, "%s", wrap[i]);
    }
    for (const char *const *p = run->program->argv; *p; p++)
        argv_add(&argv, "%s", *p);
    if (argv.failed)
        return -ENOMEM;
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t none, all;
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    posix_spawn_file_actions_adddup2(&fa, out, 2);
    posix_spawn_file_actions_adddup2(&fa, progress, 3);
    posix_spawn_file_actions_addclosefrom_np(&fa, 4);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawnp(&run->pid, argv.v[0], &fa, &attr, argv.v, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    return -r;
}

/* A pipe whose writing end is above what the child knows, so that no dup2 there overwrites it. */
static int make_pipe(int *ret_in, int *ret_out)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    *ret_in = fds[0];
    *ret_out = fcntl(fds[1], F_DUPFD_CLOEXEC, 10);
    int r = *ret_out < 0 ? -errno : fd_set_nonblock(*ret_out, false);
    close(fds[1]);
    return r;
}

static int start(struct run *run, struct err *e)
{
    auto_close int out = -EBADF, progress = -EBADF;
    int r = make_pipe(&run->out, &out);
    if (r == 0)
        r = make_pipe(&run->progress, &progress);
    if (r == 0)
        r = spawn(run, out, progress);
    return r < 0 ? err_errno(e, r, "start %s", run->program->argv[0]) : 0;
}

/* Whole lines; one that is too long is no line of ours, and is dropped. */
static void take_lines(struct run *run)
{
    for (char *nl; run->line.len && (nl = memchr(run->line.data, '\n', run->line.len));) {
        *nl = '\0';
        if (run->program->line)
            run->program->line(run->program->arg, run->line.data);
        buf_consume(&run->line, (size_t)(nl + 1 - run->line.data));
    }
    if (run->line.len >= BUILD_LINE_MAX_BYTES)
        buf_clear(&run->line);
}

/* What has come on one of the two; closes it at its end. */
static void read_some(struct run *run, int *fd)
{
    char piece[PIECE_BYTES];
    ssize_t n = read(*fd, piece, sizeof(piece));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        cleanup_close(fd);
        *fd = -EBADF;
    } else if (fd == &run->out) {
        build_log(run->build, piece, (size_t)n);
    } else {
        for (ssize_t at = 0, k; at < n; at += k) {
            k = n - at < 256 ? n - at : 256;
            (void)buf_append(&run->line, piece + at, (size_t)k);
            take_lines(run);
        }
    }
}

static void end_it(struct run *run, int sig)
{
    kill(-run->pid, sig);
    if (sig == SIGKILL)
        run->killed = true;
}

static void look_at_clock(struct run *run, int64_t until_ms)
{
    int64_t now_ms = clock_mono_ms();
    if (!run->cancelled && build_is_cancelled(run->build)) {
        run->cancelled = true;
        run->kill_ms = now_ms + BUILD_END_GRACE_MS;
        end_it(run, SIGTERM);
    }
    if (!run->killed && ((run->kill_ms && now_ms >= run->kill_ms) || now_ms >= until_ms))
        end_it(run, SIGKILL);
}

static void attend(struct run *run)
{
    int64_t until_ms = clock_mono_ms() + BUILD_TIMEOUT_MS;
    while (run->out >= 0 || run->progress >= 0) {
        struct pollfd p[] = {
            {.fd = run->out, .events = POLLIN},
            {.fd = run->progress, .events = POLLIN},
            {.fd = run->cancelled ? -1 : build_cancel_fd(run->build), .events = POLLIN}};
        if (poll(p, ARRAY_SIZE(p), 1000) > 0) {
            if (p[0].revents)
                read_some(run, &run->out);
            if (p[1].revents)
                read_some(run, &run->progress);
        }
        look_at_clock(run, until_ms);
    }
}

static int judge(const struct run *run, int status, struct err *e)
{
    const char *name = run->program->argv[0];
    if (run->cancelled)
        return err_set(e, ERR_CONFLICT, "it was cancelled");
    if (run->killed)
        return err_set(e, ERR_TIMEOUT, "%s took longer than %d s and was killed", name,
                       BUILD_TIMEOUT_MS / 1000);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_INTERNAL, "%s was killed by signal %d", name, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(e, ERR_INTERNAL, "%s failed with status %d", name, WEXITSTATUS(status));
    return 0;
}

int build_run(struct build *b, const struct build_program *p, struct err *e)
{
    struct run run = {.build = b,
                      .program = p,
                      .out = -EBADF,
                      .progress = -EBADF,
                      .line = {.max_bytes = 2 * BUILD_LINE_MAX_BYTES}};
    int status = 0, r = start(&run, e);
    if (r == 0) {
        attend(&run);
        while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR)
            ;
        r = judge(&run, status, e);
    }
    cleanup_close(&run.out);
    cleanup_close(&run.progress);
    buf_done(&run.line);
    return r;
}

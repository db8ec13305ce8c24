/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#define REPORT_FD 3
/* Our duplicates live above every number used in the child, so that no dup2 there overwrites the
 * source of a later one. */
#define OUR_FIRST_FD (LAUNCH_FIRST_FD + LAUNCH_FDS_MAX)

int launch_give(struct launch *l, int fd, struct err *e)
{
    if (l->n_fds == LAUNCH_FDS_MAX)
        return err_errno(e, -EMFILE, "more than %d descriptors for a monitor", LAUNCH_FDS_MAX);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, OUR_FIRST_FD);
    if (copy < 0)
        return err_errno(e, -errno, "duplicate a descriptor");
    l->fds[l->n_fds] = copy;
    return LAUNCH_FIRST_FD + l->n_fds++;
}

int launch_give_file(struct launch *l, const char *path, int flags, struct err *e)
{
    auto_close int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, -errno, "open %s", path);
    return launch_give(l, fd, e);
}

int launch_show(struct launch *l, const char *path, int flags, const char *name, struct err *e)
{
    int fd = launch_give_file(l, path, flags, e);
    if (fd < 0)
        return fd;
    int r = buf_printf(&l->files, "%s%s=%d", l->files.len ? ":" : "", name, fd);
    return r < 0 ? err_errno(e, r, "%s", name) : 0;
}

void launch_done(struct launch *l)
{
    for (int i = 0; i < l->n_fds; i++)
        close(l->fds[i]);
    argv_done(&l->program);
    argv_done(&l->cgroups);
    argv_done(&l->binds);
    buf_done(&l->files);
    *l = (struct launch){0};
}

/* The launcher's command line: its orders, "--", the program. */
static void build_helper(const struct launch *l, struct argv *ret)
{
    argv_add(ret, "%s/holm-jail", l->helper_dir);
    argv_add(ret, "--fds");
    argv_add(ret, "%d", LAUNCH_FIRST_FD + l->n_fds);
    for (size_t i = 0; i < l->cgroups.n; i++) {
        argv_add(ret, "--cgroup");
        argv_add(ret, "%s", l->cgroups.v[i]);
    }
    if (l->jail) {
        argv_add(ret, "--root");
        argv_add(ret, "%s", l->vm_dir);
        argv_add(ret, "--uid");
        argv_add(ret, "%u", l->uid);
        argv_add(ret, "--file-bytes");
        argv_add(ret, "%llu", (unsigned long long)l->file_bytes);
        argv_add(ret, "--memory-bytes");
        argv_add(ret, "%llu", (unsigned long long)l->memory_bytes);
        argv_add(ret, "--bind");
        argv_add(ret, "%s/holm-rofile.so", l->helper_dir);
    }
    for (size_t i = 0; i < l->binds.n; i++) {
        argv_add(ret, "--bind");
        argv_add(ret, "%s", l->binds.v[i]);
    }
    argv_add(ret, "--");
    argv_add_all(ret, &l->program);
}

static void build_environment(const struct launch *l, struct argv *ret)
{
    argv_add(ret, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    if (l->files.len) {
        argv_add(ret, "HOLM_FILES=%s", buf_str(&l->files));
        argv_add(ret, "LD_PRELOAD=%s/holm-rofile.so", l->jail ? "" : l->helper_dir);
    }
}

/* Descriptors above all that the child will know. */
struct ends {
    int report, log, out;
};

static int spawn(const struct launch *l, const struct ends *ends, pid_t *ret)
{
    auto_argv struct argv argv = {0};
    auto_argv struct argv env = {0};
    build_helper(l, &argv);
    build_environment(l, &env);
    if (argv.failed || env.failed || l->program.failed || l->files.failed)
        return -ENOMEM;
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, ends->log, 2);
    posix_spawn_file_actions_adddup2(&fa, ends->out, 1);
    posix_spawn_file_actions_adddup2(&fa, ends->report, REPORT_FD);
    for (int i = 0; i < l->n_fds; i++)
        posix_spawn_file_actions_adddup2(&fa, l->fds[i], LAUNCH_FIRST_FD + i);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawn(ret, argv.v[0], &fa, &attr, argv.v, env.v);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    return -r;
}

/* Reads the launcher's report to its end, which comes with the program's exec (or with a failure).
 */
static int read_report(int fd, struct buf *b, struct err *e)
{
    int64_t deadline_ms = clock_mono_ms() + ENGINE_LAUNCH_TIMEOUT_MS;
    for (;;) {
        int left_ms = clock_left_ms(deadline_ms);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = left_ms ? poll(&p, 1, left_ms) : 0;
        if (n == 0)
            return err_set(e, ERR_TIMEOUT, "the launcher took longer than %d ms",
                           ENGINE_LAUNCH_TIMEOUT_MS);
        char *room = buf_reserve(b, 512);
        ssize_t got = n > 0 && room ? read(fd, room, 512) : -1;
        if (got == 0)
            return 0;
        if (!room || (got < 0 && errno != EINTR))
            return err_set(e, ERR_INTERNAL, "the launcher's report cannot be read");
        b->len += got > 0 ? (size_t)got : 0;
        if (b->data)
            b->data[b->len] = '\0';
    }
}

/* The report: "pid N" from the launcher, "error TEXT" from either half when a step failed. */
static int judge_report(struct buf *report, pid_t *ret_pid, struct err *e)
{
    int r = 0;
    *ret_pid = 0;
    char *rest = NULL;
    for (char *line = report->len ? strtok_r(report->data, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "pid ", 4) == 0)
            *ret_pid = (pid_t)atoi(line + 4);
        else
            r = err_set(e, ERR_INTERNAL, "%s", strncmp(line, "error ", 6) ? line : line + 6);
    }
    if (r == 0 && *ret_pid <= 1)
        r = err_set(e, ERR_INTERNAL, "the launcher said nothing");
    return r;
}

static int wait_child(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

int launch_run(struct launch *l, struct proc_ref *ret, struct err *e)
{
    char log_path[PATH_MAX];
    int pipe_fds[2];
    int r = path_printf(log_path, sizeof(log_path), "%s/monitor.log", l->vm_dir);
    if (r < 0)
        return err_errno(e, r, "%s", l->vm_dir);
    auto_close int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(e, -errno, "%s", log_path);
    auto_close int in = pipe_fds[0];
    auto_close int out = fcntl(pipe_fds[1], F_DUPFD_CLOEXEC, OUR_FIRST_FD);
    close(pipe_fds[1]);
    auto_close int high_log = fcntl(log, F_DUPFD_CLOEXEC, OUR_FIRST_FD);
    auto_close int high_out = l->out_fd ? fcntl(l->out_fd, F_DUPFD_CLOEXEC, OUR_FIRST_FD)
                                        : fcntl(log, F_DUPFD_CLOEXEC, OUR_FIRST_FD);
    if (out < 0 || high_log < 0 || high_out < 0)
        return err_errno(e, -errno, "duplicate a descriptor");
    const struct ends ends = {.report = out, .log = high_log, .out = high_out};
    pid_t helper, pid;
    r = spawn(l, &ends, &helper);
    if (r < 0)
        return err_errno(e, r, "start %s/holm-jail", l->helper_dir);
    close(TAKE_FD(out));
    close(TAKE_FD(high_out)); /* who reads it waits for the last writer */
    auto_buf struct buf report = {.max_bytes = 8192};
    r = read_report(in, &report, e);
    if (r < 0)
        kill(helper, SIGKILL);
    wait_child(helper);
    int judged = judge_report(&report, &pid, r < 0 ? NULL : e);
    r = r < 0 ? r : judged;
    struct proc_ref proc;
    if (r == 0 && (r = proc_ref_of(pid, &proc)) < 0)
        err_errno(e, r, "the monitor ended at once");
    if (r < 0 && pid > 1) {
        kill(pid, SIGKILL); /* our child, not reaped yet: the pid cannot be another's */
        wait_child(pid);
    }
    if (r == 0)
        *ret = proc;
    return r;
}

void launch_last_words(const char *vm_dir, char *ret, size_t size)
{
    char path[PATH_MAX], tail[ENGINE_LOG_TAIL_BYTES + 1];
    ret[0] = '\0';
    if (path_printf(path, sizeof(path), "%s/monitor.log", vm_dir) < 0)
        return;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)ENGINE_LOG_TAIL_BYTES ? end - (off_t)ENGINE_LOG_TAIL_BYTES : 0;
    ssize_t n = end < 0 ? -1 : pread(fd, tail, ENGINE_LOG_TAIL_BYTES, from);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r'))
        n--;
    if (n <= 0)
        return;
    tail[n] = '\0';
    const char *nl = strrchr(tail, '\n');
    snprintf(ret, size, "%s", nl ? nl + 1 : tail);
}

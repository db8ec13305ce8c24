/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"

extern char **environ;

static int pidfd_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

static int spawn(const char *const argv[], int out, pid_t *ret)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    posix_spawn_file_actions_adddup2(&fa, out, 2);
    posix_spawn_file_actions_addclosefrom_np(&fa, 3); /* not every library's are CLOEXEC */
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawnp(ret, argv[0], &fa, &attr, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    return -r;
}

/* Reads until the pipe ends or the deadline passes (-ETIMEDOUT). Output beyond the bound is read
 * and dropped. */
static int drain(int fd, struct buf *out, int64_t deadline_ms)
{
    char chunk[4096];
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, clock_left_ms(deadline_ms));
        if (n == 0)
            return -ETIMEDOUT;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n < 0)
            continue;
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got <= 0)
            return got == 0 || errno == EINTR ? 0 : -errno;
        (void)buf_append(out, chunk, (size_t)got);
    }
}

static const char *last_line(struct buf *b)
{
    while (b->len && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == ' '))
        b->data[--b->len] = '\0';
    const char *text = buf_str(b), *nl = strrchr(text, '\n');
    return nl ? nl + 1 : text;
}

int proc_run(const char *const argv[], int timeout_ms, struct buf *ret_out, struct err *e)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(e, -errno, "pipe");
    auto_close int in = pipe_fds[0];
    auto_close int out = pipe_fds[1];
    pid_t pid;
    int r = spawn(argv, out, &pid);
    if (r < 0)
        return err_errno(e, r, "start %s", argv[0]);
    close(TAKE_FD(out));
    auto_buf struct buf text = {.max_bytes = COMMAND_OUTPUT_MAX_BYTES};
    r = drain(in, &text, timeout_ms < 0 ? 0 : clock_mono_ms() + timeout_ms);
    if (r < 0)
        kill(-pid, SIGKILL);
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r == -ETIMEDOUT)
        return err_set(e, ERR_TIMEOUT, "%s took longer than %d ms and was killed", argv[0],
                       timeout_ms);
    if (r < 0)
        return err_errno(e, r, "read output of %s", argv[0]);
    if (ret_out && text.len)
        buf_append(ret_out, text.data, text.len);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return err_set(e, ERR_INTERNAL, "%s was killed by signal %d", argv[0], WTERMSIG(status));
    return err_set(e, ERR_INTERNAL, "%s failed with status %d: %s", argv[0], WEXITSTATUS(status),
                   last_line(&text));
}

int proc_ref_of(pid_t pid, struct proc_ref *ret)
{
    char path[64];
    path_printf(path, sizeof(path), "/proc/%d/stat", pid);
    auto_buf struct buf b = {0};
    int r = file_read(path, &b, 4096);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    /* The command name, in parentheses, may hold anything: count the fields after the last ')'. */
    char *p = strrchr(buf_str(&b), ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        return -EBADMSG;
    *ret = (struct proc_ref){.pid = pid, .start_ticks = strtoull(p + 1, NULL, 10)};
    return 0;
}

int proc_ref_open(const struct proc_ref *ref)
{
    if (ref->pid <= 0)
        return -ESRCH;
    auto_close int fd = pidfd_open(ref->pid);
    if (fd < 0)
        return fd;
    struct proc_ref now;
    int r = proc_ref_of(ref->pid, &now);
    if (r < 0)
        return r;
    if (now.start_ticks != ref->start_ticks)
        return -ESRCH;
    return TAKE_FD(fd);
}

int proc_wait(int pidfd, int timeout_ms, int *ret_status)
{
    int64_t deadline = timeout_ms < 0 ? 0 : clock_mono_ms() + timeout_ms;
    for (;;) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n = poll(&p, 1, clock_left_ms(deadline));
        if (n > 0)
            break;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
    siginfo_t info = {.si_status = -1};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
        info.si_status = -1;
    if (ret_status)
        *ret_status = info.si_status;
    return 0;
}

bool proc_has_ended(const struct proc_ref *ref)
{
    auto_close int pidfd = proc_ref_open(ref);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return pidfd < 0 ? pidfd == -ESRCH : poll(&p, 1, 0) > 0;
}

int proc_kill_wait(int pidfd, int timeout_ms)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return -errno;
    return proc_wait(pidfd, timeout_ms, NULL);
}

void proc_set_nice(pid_t pid, int nice)
{
    char path[64];
    path_printf(path, sizeof(path), "/proc/%d/task", pid);
    auto_closedir DIR *d = opendir(path);
    for (struct dirent *de; d && (de = readdir(d));) {
        int tid = atoi(de->d_name);
        if (tid > 0)
            setpriority(PRIO_PROCESS, (id_t)tid, nice);
    }
}

void proc_set_own_nice(int nice)
{
    setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/login.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define TTY_GID 5 /* of the group "tty" in every distribution */

/* Where a child failed; told through the error pipe, which a successful exec closes. */
enum stage { STAGE_SETUP, STAGE_CWD, STAGE_GID, STAGE_UID, STAGE_EXEC };

struct failure {
    int stage;
    int error;
};

/* [0] is read from, [1] written to; of a terminal all of the child's ends are copies of one. */
struct pipes {
    int in[2], out[2], err[2], status[2], extra[SPAWN_EXTRA];
};

void spawn_context_init(struct spawn_context *ctx)
{
    getrlimit(RLIMIT_NOFILE, &ctx->open_files);
    struct rlimit own = ctx->open_files;
    own.rlim_cur = own.rlim_max;
    setrlimit(RLIMIT_NOFILE, &own);
    auto_buf struct buf b = {0};
    ctx->reset_oom =
        file_read("/proc/self/oom_score_adj", &b, 64) == 0 && strcmp(buf_str(&b), "0\n") != 0;
}

static const char *own_path(char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return NULL;
}

/* execve over directories. Like a shell it prefers EACCES to ENOENT in its answer. */
static int exec_in(const struct spawn_request *q, const char *dirs)
{
    int r = -ENOENT;
    for (const char *dir = dirs; dir;) {
        size_t len = strcspn(dir, ":");
        char file[AGENT_PATH_MAX_BYTES];
        /* An empty entry means the working directory. */
        if (path_printf(file, sizeof(file), "%.*s%s%s", (int)len, dir, len ? "/" : "", q->file) ==
            0) {
            execve(file, q->argv, q->env);
            if (errno != ENOENT && errno != ENOTDIR)
                r = -errno;
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                return r;
        }
        dir = dir[len] ? dir + len + 1 : NULL;
    }
    return r;
}

/* A PATH that is for the program need not lead to the program. */
static int exec_search(const struct spawn_request *q)
{
    if (strchr(q->file, '/')) {
        execve(q->file, q->argv, q->env);
        return -errno;
    }
    int own = exec_in(q, own_path(q->env));
    if (own != -ENOENT && own != -EACCES)
        return own;
    int usual = exec_in(q, LOGIN_DEFAULT_PATH);
    return usual == -ENOENT ? own : usual;
}

static void reset_oom(void)
{
    auto_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "0", 1) < 0)
        return; /* it only makes the child harder to kill */
}

/* What the agent has and its children must not have. Priority and scheduling policy reset
 * themselves on fork, memory locks are not inherited. */
static int reset_process(const struct spawn_request *q, const struct pipes *p)
{
    sigset_t none;
    sigemptyset(&none);
    /* What we ignore ourselves, or whoever started us does. */
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGQUIT};
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_NOFILE, &q->context->open_files);
    if (q->file_bytes) {
        const rlim_t bytes = (rlim_t)q->file_bytes;
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, bytes});
    }
    if (q->context->reset_oom)
        reset_oom();
    umask(022);
    if (setsid() < 0 || dup2(p->in[0], 0) < 0 || dup2(p->out[1], 1) < 0 || dup2(p->err[1], 2) < 0)
        return -errno;
    if ((q->rows || q->tty_fd >= 0) && ioctl(0, TIOCSCTTY, 0) < 0)
        return -errno;
    unsigned first = 3;
    for (int i = 0; q->extra && i < SPAWN_EXTRA; i++, first++)
        if (dup2(p->extra[i], 3 + i) < 0)
            return -errno;
    /* All of ours are CLOEXEC; whoever started us may have left others open. */
    close_range(first, ~0U, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static int become(const struct spawn_request *q, enum stage *ret_stage)
{
    *ret_stage = STAGE_GID;
    /* An unprivileged agent (tests on a host) can only stay who it is. */
    bool same = q->uid == getuid() && q->gid == getgid() && getuid() != 0;
    if (!same && (setgroups(q->n_groups, q->groups) < 0 || setresgid(q->gid, q->gid, q->gid) < 0))
        return -errno;
    *ret_stage = STAGE_UID;
    if (!same && setresuid(q->uid, q->uid, q->uid) < 0)
        return -errno;
    *ret_stage = STAGE_CWD;
    if (chdir(q->cwd) == 0 || (q->cwd_may_miss && chdir("/") == 0))
        return 0;
    return -errno;
}

static _Noreturn void child(const struct spawn_request *q, const struct pipes *p)
{
    enum stage stage = STAGE_SETUP;
    int r = reset_process(q, p);
    if (r >= 0)
        r = become(q, &stage);
    if (r >= 0) {
        stage = STAGE_EXEC;
        r = exec_search(q);
    }
    struct failure f = {.stage = stage, .error = -r};
    fd_write_all(p->status[1], &f, sizeof(f));
    _exit(127);
}

/* fork, but the child is born in its cgroup: moving it there afterwards costs the kernel a grace
 * period of milliseconds. Safe without libc's help since the agent has one thread. */
static pid_t fork_into(int cgroup_fd)
{
    if (cgroup_fd < 0)
        return fork();
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_fd,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    return pid < 0 ? fork() : pid;
}

static void pipes_close(struct pipes *p)
{
    for (int i = 0; i < 2; i++) {
        cleanup_close(&p->in[i]);
        cleanup_close(&p->out[i]);
        cleanup_close(&p->err[i]);
        cleanup_close(&p->status[i]);
    }
    for (int i = 0; i < SPAWN_EXTRA; i++)
        cleanup_close(&p->extra[i]);
}

static int copy_fd_from(int fd, int least)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, least);
    return copy < 0 ? -errno : copy;
}

static int copy_fd(int fd)
{
    return copy_fd_from(fd, 3);
}

/* The terminal belongs to who works on it, as after a login. */
static int terminal_open(struct pipes *p, const struct spawn_request *q)
{
    const struct winsize size = {
        .ws_row = (unsigned short)q->rows,
        .ws_col = (unsigned short)q->cols,
    };
    p->in[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->in[1] < 0 || unlockpt(p->in[1]) < 0)
        return -errno;
    p->in[0] = ioctl(p->in[1], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->in[0] < 0 || ioctl(p->in[1], TIOCSWINSZ, &size) < 0)
        return -errno;
    if (geteuid() == 0 && (fchown(p->in[0], q->uid, TTY_GID) < 0 || fchmod(p->in[0], 0620) < 0))
        return -errno;
    p->out[0] = copy_fd(p->in[1]);
    p->out[1] = p->out[0] < 0 ? p->out[0] : copy_fd(p->in[0]);
    p->err[1] = p->out[1] < 0 ? p->out[1] : copy_fd(p->in[0]);
    return p->err[1] < 0 ? p->err[1] : 0;
}

static int terminal_take(struct pipes *p, int tty_fd)
{
    p->in[0] = copy_fd(tty_fd);
    p->out[1] = p->in[0] < 0 ? p->in[0] : copy_fd(tty_fd);
    p->err[1] = p->out[1] < 0 ? p->out[1] : copy_fd(tty_fd);
    return p->err[1] < 0 ? p->err[1] : 0;
}

/* Who opens /dev/stdin or /dev/stderr opens the pipe anew, and that takes the rights to it. */
static int streams_give(const struct pipes *p, const struct spawn_request *q)
{
    const int theirs[] = {q->in_fd < 0 ? p->in[0] : -1, p->out[1], p->err[1]};
    for (size_t i = 0; geteuid() == 0 && i < ARRAY_SIZE(theirs); i++) {
        if (theirs[i] >= 0 && fchown(theirs[i], q->uid, q->gid) < 0)
            return -errno;
    }
    return 0;
}

static int streams_open(struct pipes *p, const struct spawn_request *q)
{
    if (q->in_fd < 0)
        p->in[0] = pipe2(p->in, O_CLOEXEC) < 0 ? -errno : p->in[0];
    else
        p->in[0] = copy_fd(q->in_fd);
    if (p->in[0] < 0)
        return p->in[0];
    if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0)
        return -errno;
    return streams_give(p, q);
}

/* Copies of what the child gets as 3 and 4, and of what it must keep, above these numbers. */
static int extra_open(struct pipes *p, const struct spawn_request *q)
{
    const int least = 3 + SPAWN_EXTRA;
    int status = copy_fd_from(p->status[1], least), r = status < 0 ? status : 0;
    for (int i = 0; r == 0 && i < SPAWN_EXTRA; i++) {
        p->extra[i] = copy_fd_from(q->extra[i], least);
        r = p->extra[i] < 0 ? p->extra[i] : 0;
    }
    close(p->status[1]);
    p->status[1] = status;
    return r;
}

static int pipes_open(struct pipes *p, const struct spawn_request *q)
{
    int r = q->tty_fd >= 0 ? terminal_take(p, q->tty_fd)
            : q->rows      ? terminal_open(p, q)
                           : streams_open(p, q);
    if (r < 0)
        return r;
    if (pipe2(p->status, O_CLOEXEC) < 0)
        return -errno;
    r = q->extra ? extra_open(p, q) : 0;
    const int ours[] = {p->in[1], p->out[0], p->err[0]};
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(ours); i++)
        r = ours[i] < 0 ? 0 : fd_set_nonblock(ours[i], true);
    return r;
}

static int explain(const struct failure *f, const struct spawn_request *q, struct err *e)
{
    const char *why = strerror(f->error);
    switch ((enum stage)f->stage) {
    case STAGE_CWD:
        return err_field(e, "cwd", "cwd \"%.300s\": %s", q->cwd, why);
    case STAGE_GID:
        return err_field(e, "gid", "gid %u: %s", q->gid, why);
    case STAGE_UID:
        return err_field(e, "uid", "uid %u: %s", q->uid, why);
    case STAGE_EXEC:
        return err_field(e, "argv", "argv[0] \"%.300s\": %s", q->file,
                         f->error == ENOENT ? "not found" : why);
    case STAGE_SETUP:
        break;
    }
    return err_errno(e, -f->error, "set up the process");
}

int spawn_start(const struct spawn_request *q, struct spawn_result *ret, struct err *e)
{
    CLEANUP(pipes_close)
    struct pipes p = {
        .in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .status = {-1, -1}, .extra = {-1, -1}};
    int r = pipes_open(&p, q);
    if (r < 0)
        return err_errno(e, r, "make pipes");
    pid_t pid = fork_into(q->cgroup_fd);
    if (pid == 0)
        child(q, &p);
    if (pid < 0)
        return err_errno(e, -errno, "fork");
    cleanup_close(&p.status[1]);
    p.status[1] = -EBADF;
    for (int i = 0; i < SPAWN_EXTRA; i++) {
        cleanup_close(&p.extra[i]);
        p.extra[i] = -EBADF;
    }
    struct failure f;
    if (fd_read_all(p.status[0], &f, sizeof(f)) == 0) {
        waitpid(pid, NULL, 0);
        return explain(&f, q, e);
    }
    *ret = (struct spawn_result){
        .pid = pid,
        .in_fd = TAKE_FD(p.in[1]),
        .out_fd = TAKE_FD(p.out[0]),
        .err_fd = TAKE_FD(p.err[0]),
    };
    return 0;
}

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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where a child failed; told through the error pipe, which a successful exec closes. */
enum stage { STAGE_SETUP, STAGE_CWD, STAGE_GID, STAGE_UID, STAGE_EXEC };

struct failure {
    int stage;
    int error;
};

struct pipes {
    int in[2], out[2], err[2], status[2];
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

static const char *search_path(char *const *env)
{
    for (; env && *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return DEFAULT_PATH;
}

/* execve over the directories of PATH. Like a shell it prefers EACCES to ENOENT in its answer. */
static int exec_search(const struct exec_spec *spec)
{
    static char *no_env[] = {NULL};
    char *const *env = spec->env ? spec->env : no_env;
    const char *name = spec->argv[0];
    if (strchr(name, '/')) {
        execve(name, spec->argv, env);
        return -errno;
    }
    int r = -ENOENT;
    for (const char *dir = search_path(env); dir;) {
        size_t len = strcspn(dir, ":");
        char file[AGENT_PATH_MAX_BYTES];
        /* An empty entry means the working directory. */
        if (path_printf(file, sizeof(file), "%.*s%s%s", (int)len, dir, len ? "/" : "", name) == 0) {
            execve(file, spec->argv, env);
            if (errno != ENOENT && errno != ENOTDIR)
                r = -errno;
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                return r;
        }
        dir = dir[len] ? dir + len + 1 : NULL;
    }
    return r;
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
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_NOFILE, &q->context->open_files);
    if (q->context->reset_oom)
        reset_oom();
    umask(022);
    if (setsid() < 0 || dup2(p->in[0], 0) < 0 || dup2(p->out[1], 1) < 0 || dup2(p->err[1], 2) < 0)
        return -errno;
    /* All of ours are CLOEXEC; whoever started us may have left others open. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static int become(const struct exec_spec *spec, enum stage *ret_stage)
{
    *ret_stage = STAGE_GID;
    /* An unprivileged agent (tests on a host) can only stay who it is. */
    bool same = spec->uid == getuid() && spec->gid == getgid() && getuid() != 0;
    if (!same && (setgroups(0, NULL) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0))
        return -errno;
    *ret_stage = STAGE_UID;
    if (!same && setresuid(spec->uid, spec->uid, spec->uid) < 0)
        return -errno;
    *ret_stage = STAGE_CWD;
    return chdir(spec->cwd ? spec->cwd : "/") < 0 ? -errno : 0;
}

static _Noreturn void child(const struct spawn_request *q, const struct pipes *p)
{
    enum stage stage = STAGE_SETUP;
    int r = reset_process(q, p);
    if (r >= 0)
        r = become(q->spec, &stage);
    if (r >= 0) {
        stage = STAGE_EXEC;
        r = exec_search(q->spec);
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
}

static int pipes_open(struct pipes *p, const struct spawn_request *q)
{
    if (q->spec->has_stdin)
        p->in[0] = pipe2(p->in, O_CLOEXEC) < 0 ? -errno : p->in[0];
    else
        p->in[0] = fcntl(q->null_fd, F_DUPFD_CLOEXEC, 3);
    if (p->in[0] < 0 || pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0 ||
        pipe2(p->status, O_CLOEXEC) < 0)
        return -errno;
    int r = p->in[1] < 0 ? 0 : fd_set_nonblock(p->in[1], true);
    r = r < 0 ? r : fd_set_nonblock(p->out[0], true);
    return r < 0 ? r : fd_set_nonblock(p->err[0], true);
}

static int explain(const struct failure *f, const struct exec_spec *spec, struct err *e)
{
    const char *why = strerror(f->error);
    switch ((enum stage)f->stage) {
    case STAGE_CWD:
        return err_field(e, "cwd", "cwd \"%.300s\": %s", spec->cwd, why);
    case STAGE_GID:
        return err_field(e, "gid", "gid %u: %s", spec->gid, why);
    case STAGE_UID:
        return err_field(e, "uid", "uid %u: %s", spec->uid, why);
    case STAGE_EXEC:
        return err_field(e, "argv", "argv[0] \"%.300s\": %s", spec->argv[0],
                         f->error == ENOENT ? "not found" : why);
    case STAGE_SETUP:
        break;
    }
    return err_errno(e, -f->error, "set up the process");
}

int spawn_start(const struct spawn_request *q, struct spawn_result *ret, struct err *e)
{
    CLEANUP(pipes_close)
    struct pipes p = {.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .status = {-1, -1}};
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
    struct failure f;
    if (fd_read_all(p.status[0], &f, sizeof(f)) == 0) {
        waitpid(pid, NULL, 0);
        return explain(&f, q->spec, e);
    }
    *ret = (struct spawn_result){
        .pid = pid,
        .in_fd = TAKE_FD(p.in[1]),
        .out_fd = TAKE_FD(p.out[0]),
        .err_fd = TAKE_FD(p.err[0]),
    };
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/login.h"
#include "agent/users.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"

#define OOM_FILE_BYTES (64 * KIB)

/* Once the leader was reaped its group's number could in principle have a new owner, after a full
 * round of pids while something of it still runs. */
void program_kill(struct program *p)
{
    if (!p->pid)
        return;
    kill(-p->pid, SIGKILL);
    cgroup_kill(&p->cgroup);
}

void program_signal(struct program *p, int sig)
{
    if (p->pid && !p->reaped)
        kill(-p->pid, sig);
}

static void on_timeout(struct loop_timer *t)
{
    struct program *p = (struct program *)((char *)t - offsetof(struct program, timeout));
    p->exit.timed_out = true;
    program_kill(p);
}

/* An empty argv is the user's shell as login(1) starts it: its name begins with "-". */
struct shell {
    char name[USER_FIELD_SIZE + 1];
    char *argv[2];
};

static void choose_argv(struct spawn_request *q, const struct exec_spec *spec, const struct user *u,
                        struct shell *shell)
{
    q->argv = spec->argv;
    q->file = spec->argv[0];
    if (q->file)
        return;
    q->file = u->listed ? u->shell : "/bin/sh";
    const char *slash = strrchr(q->file, '/');
    snprintf(shell->name, sizeof(shell->name), "-%s", slash ? slash + 1 : q->file);
    shell->argv[0] = shell->name;
    shell->argv[1] = NULL;
    q->argv = shell->argv;
}

static int spawn(struct program *p, const struct exec_spec *spec, const struct program_fds *fds,
                 struct spawn_result *ret, struct err *e)
{
    static char *no_env[] = {NULL};
    struct agent *a = p->agent;
    const char *etc = a->options.etc_dir ? a->options.etc_dir : "/etc";
    auto_login_env struct login_env env = {0};
    struct shell shell;
    struct user u;
    int r = user_of_spec(etc, spec, &u, e);
    if (r == 0 && spec->login && login_env_init(&env, etc, spec, &u) < 0)
        r = err_errno(e, -ENOMEM, "environment");
    if (r < 0)
        return r;
    struct spawn_request q = {
        .context = &a->spawn,
        .env = spec->login ? env.vars
               : spec->env ? spec->env
                           : no_env,
        .cwd = spec->cwd  ? spec->cwd
               : u.listed ? u.home
                          : "/",
        .cwd_may_miss = !spec->cwd,
        .uid = u.uid,
        .gid = u.gid,
        .groups = u.groups,
        .n_groups = u.n_groups,
        .in_fd = fds->in,
        .tty_fd = fds->tty,
        .rows = spec->pty_rows,
        .cols = spec->pty_cols,
        .cgroup_fd = p->cgroup.fd,
        .extra = fds->extra,
        .file_bytes = spec->limits.file_bytes,
    };
    choose_argv(&q, spec, &u, &shell);
    return a->options.spawn(&q, ret, e);
}

static void enlist(struct program *p, pid_t pid, int64_t timeout_ms)
{
    struct agent *a = p->agent;
    p->pid = pid;
    p->prev = NULL;
    p->next = a->programs;
    if (p->next)
        p->next->prev = p;
    a->programs = p;
    p->timeout.fire = on_timeout;
    if (timeout_ms)
        loop_timer_start(&a->loop, &p->timeout, timeout_ms);
}

/* The sum is exact; how much of it was in the kernel is known in ticks only. */
void program_note_cpu(struct program *p)
{
    char path[64];
    clockid_t clock;
    struct timespec ts = {0};
    unsigned long ticks = 0;
    auto_buf struct buf b = {0};
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
    if (clock_getcpuclockid(p->pid, &clock) == 0)
        clock_gettime(clock, &ts);
    /* The name, in parentheses, may have anything in it. */
    const char *rest = file_read(path, &b, 4096) == 0 ? strrchr(buf_str(&b), ')') : NULL;
    if (rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu", &ticks) != 1)
        ticks = 0;
    int64_t total = ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
    int64_t user = (int64_t)ticks * 1000000 / sysconf(_SC_CLK_TCK);
    p->own_user_us = user < total ? user : total;
    p->own_system_us = total - p->own_user_us;
    struct exec_exit used = {0};
    cgroup_account(&p->cgroup, &used);
    p->cpu_before_us = used.cpu_us;
}

int program_limit(struct program *p, const struct exec_limits *limits, struct err *e)
{
    int r = cgroup_limit(&p->agent->cgroups, &p->cgroup, limits, e);
    if (r < 0 || !limits->file_bytes)
        return r;
    const rlim_t bytes = (rlim_t)limits->file_bytes;
    if (prlimit(p->pid, RLIMIT_FSIZE, &(struct rlimit){bytes, bytes}, NULL) < 0)
        return err_errno(e, -errno, "bound the size of files");
    /* A runtime that waits may have processes already, by which it starts others. */
    cgroup_bound_files(&p->cgroup, limits->file_bytes);
    return 0;
}

int program_start(struct program *p, const struct exec_spec *spec, const struct program_fds *fds,
                  struct spawn_result *ret, struct err *e)
{
    struct agent *a = p->agent;
    cgroup_new(&a->cgroups, &p->cgroup);
    p->start_us = clock_mono_us();
    int r = cgroup_limit(&a->cgroups, &p->cgroup, &spec->limits, e);
    if (r == 0)
        r = spawn(p, spec, fds, ret, e);
    if (r < 0) {
        cgroup_free(&a->cgroups, &p->cgroup);
        return r;
    }
    enlist(p, ret->pid, spec->timeout_ms);
    p->kill_rest = spec->kill_rest;
    return 0;
}

void program_hand_over(struct program *from, struct program *to, int64_t timeout_ms)
{
    pid_t pid = from->pid;
    to->cgroup = from->cgroup;
    from->cgroup.fd = -EBADF;
    program_done(from);
    to->own_user_us = from->own_user_us;
    to->own_system_us = from->own_system_us;
    to->cpu_before_us = from->cpu_before_us;
    to->start_us = clock_mono_us();
    enlist(to, pid, timeout_ms);
}

void program_done(struct program *p)
{
    struct agent *a = p->agent;
    if (!p->pid)
        return;
    if (p->prev)
        p->prev->next = p->next;
    else
        a->programs = p->next;
    if (p->next)
        p->next->prev = p->prev;
    loop_timer_stop(&a->loop, &p->timeout);
    if (p->kill_rest)
        program_kill(p);
    cgroup_free(&a->cgroups, &p->cgroup);
    p->pid = 0;
}

static int64_t timeval_us(const struct timeval *tv)
{
    return tv->tv_sec * 1000000LL + tv->tv_usec;
}

/* The two parts of what it had used before may be wrong by a tick, their sum is not. */
static void count_cpu(struct program *p, const struct rusage *usage)
{
    int64_t user = timeval_us(&usage->ru_utime) - p->own_user_us;
    int64_t system = timeval_us(&usage->ru_stime) - p->own_system_us;
    int64_t total = user + system < 0 ? 0 : user + system;
    p->exit.user_us = user < 0 ? 0 : user > total ? total : user;
    p->exit.system_us = total - p->exit.user_us;
}

/* Whether the kernel has killed anything since this was asked last because memory had run out. In a
 * guest all of it belongs to its programs. */
static bool oom_has_killed(struct agent *a)
{
    static const char key[] = "\noom_kill ";
    auto_buf struct buf b = {0};
    const char *line = a->options.guest && file_read("/proc/vmstat", &b, OOM_FILE_BYTES) == 0
                           ? strstr(buf_str(&b), key)
                           : NULL;
    long long n = line ? strtoll(line + strlen(key), NULL, 10) : 0;
    bool has_killed = n > a->oom_kills;
    a->oom_kills = n;
    return has_killed;
}

/* What the leader and the children that it has waited for used, or better, its group. */
static void account(struct program *p, const struct rusage *usage)
{
    struct exec_exit *x = &p->exit;
    count_cpu(p, usage);
    x->max_rss_kib = usage->ru_maxrss;
    x->memory_peak_bytes = x->max_rss_kib * 1024;
    /* Asking takes a while; of a batch (kill_rest) each has to, so that none has another's. */
    x->oom = (x->code != 0 || p->kill_rest) && oom_has_killed(p->agent);
    x->cpu_us = -1;
    cgroup_account(&p->cgroup, x);
    x->cpu_us = x->cpu_us < 0 ? x->user_us + x->system_us : x->cpu_us - p->cpu_before_us;
}

void program_child_ended(struct agent *a, pid_t pid, int status, const struct rusage *usage)
{
    struct program *p = a->programs;
    while (p && (p->pid != pid || p->reaped))
        p = p->next;
    if (!p)
        return;
    p->reaped = true;
    p->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    p->exit.code = p->exit.signal ? 128 + p->exit.signal : WEXITSTATUS(status);
    p->exit.wall_us = clock_mono_us() - p->start_us;
    account(p, usage);
    loop_timer_stop(&a->loop, &p->timeout);
    p->ended(p);
}

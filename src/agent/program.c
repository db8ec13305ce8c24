/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/program.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "agent/login.h"
#include "agent/users.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"

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
    };
    choose_argv(&q, spec, &u, &shell);
    return a->options.spawn(&q, ret, e);
}

int program_start(struct program *p, const struct exec_spec *spec, const struct program_fds *fds,
                  struct spawn_result *ret, struct err *e)
{
    struct agent *a = p->agent;
    cgroup_new(&a->cgroups, &p->cgroup);
    p->start_us = clock_mono_us();
    int r = spawn(p, spec, fds, ret, e);
    if (r < 0) {
        cgroup_free(&a->cgroups, &p->cgroup);
        return r;
    }
    p->pid = ret->pid;
    p->prev = NULL;
    p->next = a->programs;
    if (p->next)
        p->next->prev = p;
    a->programs = p;
    p->timeout.fire = on_timeout;
    if (spec->timeout_ms)
        loop_timer_start(&a->loop, &p->timeout, spec->timeout_ms);
    return 0;
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
    cgroup_free(&a->cgroups, &p->cgroup);
    p->pid = 0;
}

static int64_t timeval_us(const struct timeval *tv)
{
    return tv->tv_sec * 1000000LL + tv->tv_usec;
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
    p->exit.user_us = timeval_us(&usage->ru_utime);
    p->exit.system_us = timeval_us(&usage->ru_stime);
    p->exit.max_rss_kib = usage->ru_maxrss;
    loop_timer_stop(&a->loop, &p->timeout);
    p->ended(p);
}

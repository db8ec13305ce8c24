/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/link.h"
#include "agent/power.h"
#include "agent/program.h"
#include "base/cleanup.h"

/* Reaps every child that has ended: programs, tasks, and as process 1 or subreaper whatever the
 * programs left behind. */
static void reap(struct agent *a)
{
    int status;
    struct rusage usage;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        struct agent_task **t = &a->tasks;
        while (*t && (*t)->pid != pid)
            t = &(*t)->next;
        if (*t) {
            struct agent_task *task = *t;
            *t = task->next;
            task->ended(task, WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD);
        } else {
            program_child_ended(a, pid, status, &usage);
        }
    }
    cgroup_sweep(&a->cgroups);
}

static void on_signal(struct loop_watch *w, uint32_t events)
{
    struct agent *a = (struct agent *)((char *)w - offsetof(struct agent, signals));
    struct signalfd_siginfo si;
    while (read(w->fd, &si, sizeof(si)) == sizeof(si)) {
        if (si.ssi_signo == SIGCHLD)
            reap(a);
        else
            power_signal(a, (int)si.ssi_signo);
    }
}

static int watch_signals(struct agent *a, struct err *e)
{
    static const int handled[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPWR};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
        sigaddset(&set, handled[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    a->signals = (struct loop_watch){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
        .ready = on_signal,
    };
    int r = a->signals.fd < 0 ? -errno : loop_watch(&a->loop, &a->signals, EPOLLIN);
    return r < 0 ? err_errno(e, r, "watch signals") : 0;
}

int agent_init(struct agent *a, const struct agent_options *options, struct err *e)
{
    *a = (struct agent){.options = *options, .signals.fd = -1, .files_root_fd = -1, .null_fd = -1};
    if (!a->options.spawn)
        a->options.spawn = spawn_start;
    int r = loop_init(&a->loop);
    if (r < 0)
        return err_errno(e, r, "epoll");
    r = watch_signals(a, e);
    if (r < 0)
        return r;
    const char *root = options->files_root ? options->files_root : "/";
    a->files_root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    a->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (a->files_root_fd < 0 || a->null_fd < 0)
        return err_errno(e, -errno, "open %s and /dev/null", root);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    spawn_context_init(&a->spawn);
    cgroup_init(&a->cgroups, options->guest);
    power_init(a);
    orphans_init(a);
    bulk_init(&a->bulk);
    return 0;
}

void agent_done(struct agent *a)
{
    while (a->links)
        link_free(a->links);
    orphans_kill(a);
    jobs_done(a);
    warms_done(a);
    bulk_done(&a->bulk);
    while (a->tasks) {
        struct agent_task *t = a->tasks;
        a->tasks = t->next;
        t->ended(t, -ECHILD);
    }
    cgroup_done(&a->cgroups);
    loop_unwatch(&a->loop, &a->signals);
    cleanup_close(&a->signals.fd);
    cleanup_close(&a->files_root_fd);
    cleanup_close(&a->null_fd);
    loop_done(&a->loop);
}

void agent_settle(struct agent *a)
{
    for (struct link *l = a->links, *next; l; l = next) {
        next = link_next(l);
        link_flush(l);
        if (link_is_dead(l))
            link_free(l);
    }
    if (a->stop_without_links && !a->links)
        a->loop.stop = true;
}

static void settle(void *arg)
{
    agent_settle(arg);
}

int agent_run(struct agent *a)
{
    return loop_run(&a->loop, settle, a);
}

/* Nobody shall wait for an end of file because a task has the other end too. */
static void keep_only(struct agent_task *t)
{
    unsigned first = 3;
    if (t->fd >= 0 && dup2(t->fd, 3) == 3) {
        t->fd = 3;
        first = 4;
    }
    close_range(first, ~0U, 0);
}

int agent_task_start(struct agent *a, struct agent_task *t)
{
    t->pid = fork();
    if (t->pid == 0) {
        keep_only(t);
        int r = t->run(t);
        _exit(r < -255 ? EIO : -r);
    }
    if (t->pid < 0)
        return -errno;
    t->next = a->tasks;
    a->tasks = t;
    return 0;
}

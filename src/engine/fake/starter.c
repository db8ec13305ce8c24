/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/control.h"

extern char **environ;

#define LOG_NAME "monitor.log"
/* Above the numbers that the sockets get in the child, so that neither dup2 hits the other. */
#define SPARE_FD 16

static int listen_in(const char *vm_dir, const char *name, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", vm_dir, name);
    auto_close int fd = r < 0 ? r : unix_listen(path, 0600, SOMAXCONN);
    if (fd < 0)
        return err_errno(e, fd, "listen on %s/%s", vm_dir, name);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, SPARE_FD);
    return high < 0 ? err_errno(e, -errno, "descriptor of %s", path) : high;
}

/* Our names and the child's numbers of what it inherits. */
static const struct {
    const char *name;
    int child_fd;
} sockets[] = {
    {STARTER_AGENT_SOCKET, STARTER_AGENT_FD},
    {STARTER_CONTROL_SOCKET, STARTER_CONTROL_FD},
    {STARTER_CONSOLE_SOCKET, STARTER_CONSOLE_FD},
};
#define N_SOCKETS ((int)ARRAY_SIZE(sockets))

static int spawn_with(const struct starter_request *q, posix_spawn_file_actions_t *fa, pid_t *ret)
{
    const char *argv[STARTER_WORDS_MAX + 4] = {q->program, q->id, q->vm_dir};
    posix_spawnattr_t attr;
    sigset_t none, all;
    for (int i = 0; i < STARTER_WORDS_MAX && q->words[i]; i++)
        argv[i + 3] = q->words[i];
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawn(ret, q->program, fa, &attr, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attr);
    return -r;
}

static int spawn(const struct starter_request *q, const int fds[N_SOCKETS], const char *log,
                 pid_t *ret)
{
    posix_spawn_file_actions_t fa;
    auto_close int tap = q->tap_fd > 0 ? fcntl(q->tap_fd, F_DUPFD_CLOEXEC, SPARE_FD) : -EBADF;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    posix_spawn_file_actions_adddup2(&fa, 1, 2);
    for (int i = 0; i < N_SOCKETS; i++)
        posix_spawn_file_actions_adddup2(&fa, fds[i], sockets[i].child_fd);
    if (tap >= 0)
        posix_spawn_file_actions_adddup2(&fa, tap, STARTER_TAP_FD);
    int r = spawn_with(q, &fa, ret);
    posix_spawn_file_actions_destroy(&fa);
    return r;
}

int starter_explain(const char *vm_dir, struct err *e)
{
    char log[PATH_MAX];
    auto_buf struct buf text = {0};
    if (path_printf(log, sizeof(log), "%s/" LOG_NAME, vm_dir) == 0 &&
        file_read(log, &text, ENGINE_LOG_TAIL_BYTES) == 0 && text.len) {
        text.data[strcspn(text.data, "\n")] = '\0';
        return err_set(e, ERR_UNAVAILABLE, "the fake monitor ended: %.400s", text.data);
    }
    return err_set(e, ERR_UNAVAILABLE, "the fake monitor is gone");
}

/* The monitor answers, or what is left of it is ended. */
static int await(const struct starter_request *q, pid_t pid, struct proc_ref *ret, struct err *e)
{
    auto_buf struct buf answer = {0};
    struct proc_ref ref;
    int r = proc_ref_of(pid, &ref);
    if (r < 0)
        return err_errno(e, r, "look at the fake monitor");
    r = control_call(q->vm_dir, "state", &answer, e);
    if (r == 0) {
        *ret = ref;
        return 0;
    }
    auto_close int pidfd = proc_ref_open(&ref);
    /* One that hung up is about to end by itself and may still have to say why. */
    if (pidfd >= 0 && r != -ETIMEDOUT)
        proc_wait(pidfd, ENGINE_KILL_TIMEOUT_MS, NULL);
    if (pidfd >= 0)
        proc_kill_wait(pidfd, ENGINE_KILL_TIMEOUT_MS);
    return r == -ETIMEDOUT ? r : starter_explain(q->vm_dir, e);
}

static int listen_all(const char *vm_dir, int ret[N_SOCKETS], struct err *e)
{
    for (int i = 0; i < N_SOCKETS; i++) {
        ret[i] = listen_in(vm_dir, sockets[i].name, e);
        if (ret[i] < 0)
            return ret[i];
    }
    return 0;
}

static int start(const struct starter_request *q, struct proc_ref *ret, struct err *e)
{
    char log[PATH_MAX];
    int fds[N_SOCKETS] = {-EBADF, -EBADF, -EBADF};
    pid_t pid;
    if (path_printf(log, sizeof(log), "%s/" LOG_NAME, q->vm_dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", q->vm_dir);
    int r = listen_all(q->vm_dir, fds, e);
    if (r == 0) {
        r = spawn(q, fds, log, &pid);
        r = r < 0 ? err_errno(e, r, "start %s", q->program) : 0;
    }
    /* From here on only the monitor holds them: its end ends the connections. */
    for (int i = 0; i < N_SOCKETS; i++)
        cleanup_close(&fds[i]);
    return r < 0 ? r : await(q, pid, ret, e);
}

int starter_start(const struct starter_request *q, struct proc_ref *ret, struct err *e)
{
    int r = start(q, ret, e);
    if (r < 0)
        starter_clean(q->vm_dir);
    return r;
}

void starter_clean(const char *vm_dir)
{
    char path[PATH_MAX];
    for (int i = 0; i < N_SOCKETS; i++)
        if (path_printf(path, sizeof(path), "%s/%s", vm_dir, sockets[i].name) == 0)
            unlink(path);
}

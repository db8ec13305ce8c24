/* SPDX-License-Identifier: Apache-2.0 */

/* The other half of test_server.h: running the real holm. */

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "cli/test_server.h"

static const char *holm_path;

void test_holm_set(const char *path)
{
    holm_path = path;
}

static pid_t spawn(const struct test_server *s, const struct test_run *run, const int fds[3])
{
    const char *argv[64] = {"holm"}, *env[32];
    char url[96], path[4096];
    snprintf(url, sizeof(url), "HOLM_URL=%s", s ? test_server_url(s) : "http://127.0.0.1:1");
    snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
    size_t n = 0;
    for (; run->argv[n]; n++)
        argv[n + 1] = run->argv[n];
    size_t m = 0;
    /* The test's own come first: of two of a name, the first counts. */
    for (; run->env && run->env[m]; m++)
        env[m] = run->env[m];
    env[m++] = path;
    env[m++] = url;
    env[m++] = "HOLM_DATA=/nonexistent";
    env[m++] = "LC_ALL=C.UTF-8";
    env[m++] = "TERM=xterm";
    env[m] = NULL;
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&fa, fds[i], i);
    pid_t pid;
    int r = posix_spawn(&pid, holm_path, &fa, NULL, (char **)argv, (char **)env);
    posix_spawn_file_actions_destroy(&fa);
    assert_int_equal(r, 0);
    return pid;
}

static int input_fd(const struct test_run *run)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    assert_true(fd >= 0);
    size_t len = run->input_len ? run->input_len : run->input ? strlen(run->input) : 0;
    assert_int_equal(fd_write_all(fd, run->input, len), 0);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int wait_code(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void take_output(int fd, struct buf *ret)
{
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(fd_slurp(fd, ret, 256 << 20), 0);
}

void test_holm(const struct test_server *s, const struct test_run *run, struct test_ran *ret)
{
    auto_close int in = input_fd(run);
    auto_close int out = memfd_create("out", MFD_CLOEXEC);
    auto_close int err = memfd_create("err", MFD_CLOEXEC);
    const int fds[3] = {run->fds[0] ? run->fds[0] : in, run->fds[1] ? run->fds[1] : out,
                        run->fds[2] ? run->fds[2] : err};
    *ret = (struct test_ran){.code = wait_code(spawn(s, run, fds))};
    take_output(out, &ret->out);
    take_output(err, &ret->err);
}

void test_ran_done(struct test_ran *r)
{
    buf_done(&r->out);
    buf_done(&r->err);
}

void test_holm_start(const struct test_server *s, const struct test_run *run,
                     struct test_child *ret)
{
    auto_close int in = input_fd(run);
    int out[2], err[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    const int fds[3] = {run->fds[0] ? run->fds[0] : in, run->fds[1] ? run->fds[1] : out[1],
                        run->fds[2] ? run->fds[2] : err[1]};
    *ret = (struct test_child){.pid = spawn(s, run, fds), .out = out[0], .err = err[0]};
    close(out[1]);
    close(err[1]);
}

int test_holm_wait(struct test_child *c)
{
    int code = wait_code(c->pid);
    if (c->out >= 0)
        close(c->out);
    close(c->err);
    return code;
}

bool test_read_until(int fd, const char *text, struct buf *ret)
{
    while (!strstr(buf_str(ret), text)) {
        char chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n <= 0)
            return false;
        buf_append(ret, chunk, (size_t)n);
    }
    return true;
}

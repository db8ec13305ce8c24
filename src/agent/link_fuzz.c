/* SPDX-License-Identifier: Apache-2.0 */

/* A whole session: hello, HTTP/2, requests. Programs are pipes without a process, files stay in a
 * directory of their own. */

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/link.h"
#include "agent/program.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/holm-fuzz-XXXXXX";
static struct agent agent;
static int jobs_fd;

/* No process has this pid, so a kill of its group hits nobody. */
#define NO_PID INT_MAX

static int fake_spawn(const struct spawn_request *q, struct spawn_result *ret, struct err *e)
{
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 ||
        pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0)
        abort();
    close(in[0]);
    if (write(out[1], "output", 6) != 6)
        abort();
    close(out[1]);
    close(err[1]);
    /* One that waits is ready, and the last one that was started reads what it is told. */
    if (q->extra && (write(q->extra[1], "R", 1) != 1 || dup2(q->extra[0], jobs_fd) < 0))
        abort();
    *ret = (struct spawn_result){.pid = NO_PID, .in_fd = in[1], .out_fd = out[0], .err_fd = err[0]};
    return 0;
}

static int no_sync(struct agent_task *t)
{
    return 0;
}

static void remove_root(void)
{
    dir_remove(root);
}

static void set_up(void)
{
    struct agent_options options = {.files_root = root,
                                    .jobs_dir = root,
                                    .spawn = fake_spawn,
                                    .sync = no_sync,
                                    .init = REPORT_INIT_IMAGE};
    if (!mkdtemp(root) || agent_init(&agent, &options, NULL) < 0)
        abort();
    jobs_fd = fcntl(agent.null_fd, F_DUPFD_CLOEXEC, 0);
    if (jobs_fd < 0)
        abort();
    atexit(remove_root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rusage usage;
    static char answer[65536];
    struct link *link;
    int fds[2];
    if (!agent.options.spawn)
        set_up();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        link_new(&agent, fds[0], LINK_SOCKET, &link) < 0)
        abort();
    /* The second half comes when the first has been answered. */
    link_input(link, data, size / 2);
    agent_settle(&agent);
    loop_once(&agent.loop, 0);
    program_child_ended(&agent, NO_PID, 0, &usage);
    link_input(link, data + size / 2, size - size / 2);
    for (int i = 0; i < 4; i++) {
        while (read(fds[1], answer, sizeof(answer)) > 0)
            ;
        agent_settle(&agent);
        loop_once(&agent.loop, 0);
    }
    close(fds[1]);
    /* A child that has yet to close its copy of the socket puts the end off. */
    while (agent.links) {
        loop_once(&agent.loop, -1);
        agent_settle(&agent);
    }
    orphans_kill(&agent);
    jobs_done(&agent);
    warms_done(&agent);
    assert(!agent.programs);
    return 0;
}

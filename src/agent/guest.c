/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/console.h"
#include "agent/link.h"
#include "agent/port.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

/* A monitor makes its ports before the kernel starts; this is for a very slow one. */
#define PORT_WAIT_MS 60000

void guest_harden(bool exempt)
{
    struct sched_param param = {.sched_priority = 1};
    /* Each of these only makes a busy guest answer later when it fails. */
    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) < 0)
        log_warn("agent", "no real-time priority: %m");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        log_warn("agent", "memory is not locked: %m");
    auto_close int fd = exempt ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, "-1000", 5) < 0)
        log_warn("agent", "not exempt from the OOM killer: %m");
}

int guest_serve(enum report_init init)
{
    struct agent_options options = {.guest = true, .init = init};
    struct agent agent;
    struct console console = {.agent = &agent, .watch.fd = -1};
    struct link *link;
    struct err e = ERR_INIT;
    auto_close int events = port_events_open();
    if (events < 0)
        return events;
    int fd = port_open_wait(events, clock_mono_ms() + PORT_WAIT_MS);
    /* Announcements that nobody reads would pile up in the kernel. */
    cleanup_close(&events);
    events = -EBADF;
    if (fd < 0) {
        log_error("agent", "no port " PORT_NAME ": %s", strerror(-fd));
        return fd;
    }
    int r = agent_init(&agent, &options, &e);
    if (r < 0) {
        log_error("agent", "%s", e.text);
        return r;
    }
    r = link_new(&agent, fd, LINK_PORT, &link);
    /* An init of the image has its own idea of who may log in there. */
    if (r == 0 && init == REPORT_INIT_AGENT)
        console_init(&console, &agent, "/dev/ttyS0");
    r = r < 0 ? r : agent_run(&agent);
    if (init == REPORT_INIT_AGENT)
        console_done(&console);
    agent_done(&agent);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* A running VM: nearly all of it is a question to its monitor. */

#include "engine/fake/fake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/control.h"
#include "engine/fake/starter.h"

static int call(const struct monitor *m, const char *request, struct err *e)
{
    auto_buf struct buf answer = {0};
    auto_close int fd = fake_open_running(m, e);
    return fd < 0 ? fd : control_call(m->vm_dir, request, &answer, e);
}

/* An operation that is one question. */
struct simple {
    enum fault_step step;
    enum fault fail;
    const char *request;
};

static int simple_call(struct engine *en, const struct simple *s, const struct monitor *m,
                       struct err *e)
{
    struct fake *f = en->data;
    faults_pass(&f->faults, s->step, MOMENT_BEGIN);
    int r = faults_fail(&f->faults, s->fail, e);
    r = r < 0 ? r : call(m, s->request, e);
    if (r == 0)
        faults_pass(&f->faults, s->step, MOMENT_END);
    return r;
}

int fake_pause(struct engine *en, const struct monitor *m, struct err *e)
{
    static const struct simple s = {STEP_PAUSE, FAULT_PAUSE_FAIL, "pause"};
    return simple_call(en, &s, m, e);
}

int fake_resume(struct engine *en, const struct monitor *m, struct err *e)
{
    static const struct simple s = {STEP_RESUME, FAULT_RESUME_FAIL, "resume"};
    return simple_call(en, &s, m, e);
}

int fake_flatten(struct engine *en, const struct monitor *m, struct err *e)
{
    static const struct simple s = {STEP_FLATTEN, FAULT_FLATTEN_FAIL, "flatten"};
    return simple_call(en, &s, m, e);
}

int fake_power_button(struct engine *en, const struct monitor *m, struct err *e)
{
    static const struct simple s = {STEP_POWER, FAULT_POWER_FAIL, "power"};
    return simple_call(en, &s, m, e);
}

int fake_resize_disk(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e)
{
    char request[64];
    path_printf(request, sizeof(request), "resize %" PRIu64, bytes);
    const struct simple s = {STEP_RESIZE, FAULT_RESIZE_FAIL, request};
    return simple_call(en, &s, m, e);
}

int fake_state(struct engine *en, const struct monitor *m, enum monitor_state *ret, struct err *e)
{
    auto_buf struct buf answer = {0};
    struct err own = ERR_INIT;
    auto_close int fd = fake_open_process(m);
    if (fd == -ESRCH) {
        *ret = MONITOR_GONE;
        return 0;
    }
    if (fd < 0)
        return err_errno(e, fd, "look at the fake monitor");
    int r = control_call(m->vm_dir, "state", &answer, &own);
    /* It hung up: it is about to end. */
    if (r < 0 && own.class == ERR_UNAVAILABLE && proc_wait(fd, ENGINE_KILL_TIMEOUT_MS, NULL) == 0) {
        *ret = MONITOR_GONE;
        return 0;
    }
    if (r < 0)
        return err_set(e, own.class, "%s", own.text);
    *ret = strcmp(buf_str(&answer), "paused") == 0 ? MONITOR_PAUSED : MONITOR_RUNNING;
    return 0;
}

/* Adds up "<name>: <n> kB" of /proc/PID/smaps_rollup. */
static uint64_t rollup_bytes(const char *text, const char *name)
{
    const char *p = strstr(text, name);
    return p ? strtoull(p + strlen(name), NULL, 10) * KIB : 0;
}

static int read_proc(pid_t pid, const char *name, struct buf *ret)
{
    char path[64];
    path_printf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return file_read(path, ret, 64 * KIB);
}

int fake_stats(struct engine *en, const struct monitor *m, struct monitor_stats *ret, struct err *e)
{
    struct fake *f = en->data;
    struct monitor_stats s = {0};
    auto_buf struct buf rollup = {0};
    auto_buf struct buf answer = {0};
    auto_close int fd = fake_open_running(m, e);
    int r = fd < 0 ? fd : faults_fail(&f->faults, FAULT_STATS_FAIL, e);
    r = r < 0 ? r : control_call(m->vm_dir, "stats", &answer, e);
    if (r < 0)
        return r;
    if (sscanf(buf_str(&answer), "%" SCNu64 " %" SCNu64 " %" SCNu64, &s.disk_bytes, &s.cpu_us,
               &s.io_bytes) != 3)
        return err_set(e, ERR_INTERNAL, "the fake monitor's answer makes no sense");
    r = read_proc(m->proc.pid, "smaps_rollup", &rollup);
    if (r < 0)
        return err_errno(e, r, "read /proc/%d", (int)m->proc.pid);
    s.pss_bytes = rollup_bytes(buf_str(&rollup), "\nPss:");
    s.private_bytes = rollup_bytes(buf_str(&rollup), "\nPrivate_Clean:") +
                      rollup_bytes(buf_str(&rollup), "\nPrivate_Dirty:");
    *ret = s;
    return 0;
}

static int connect_to(const struct monitor *m, const char *name, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", m->vm_dir, name);
    int fd = r < 0 ? r : unix_connect(path);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return starter_explain(m->vm_dir, e);
    return fd < 0 ? err_errno(e, fd, "connect to %s/%s", m->vm_dir, name) : fd;
}

int fake_connect_agent(struct engine *en, const struct monitor *m, struct err *e)
{
    return connect_to(m, STARTER_AGENT_SOCKET, e);
}

int fake_connect_console(struct engine *en, const struct monitor *m, struct err *e)
{
    struct fake *f = en->data;
    int r = faults_fail(&f->faults, FAULT_CONSOLE_FAIL, e);
    return r < 0 ? r : connect_to(m, STARTER_CONSOLE_SOCKET, e);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The fake engine: everything an engine does, with a small process instead of a VM. README.md says
 * what its guests understand and which faults can be ordered.
 *
 * The operations are in fake_*.c. Each passes its places (faults.h), where a test may have the
 * daemon die or wait. */

#include "engine/fake/fake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/control.h"
#include "engine/fake/starter.h"

#define FINGERPRINT "fake/2"

/* --- the engine --- */

static int find_program(const struct engine_config *c, struct fake *f, struct err *e)
{
    static const char *const places[] = {"%s/holm-fake-monitor", "%s/fake/holm-fake-monitor"};
    for (size_t i = 0; c->helper_dir && i < ARRAY_SIZE(places); i++) {
        auto_free char *path = NULL;
        if (asprintf(&path, places[i], c->helper_dir) < 0)
            return err_errno(e, -ENOMEM, "engine");
        if (access(path, X_OK) == 0)
            return path_printf(f->program, sizeof(f->program), "%s", path) < 0
                       ? err_errno(e, -ENAMETOOLONG, "helper_dir")
                       : 0;
    }
    return err_set(e, ERR_NOT_FOUND, "there is no holm-fake-monitor in %s",
                   c->helper_dir ? c->helper_dir : "helper_dir, which is not set");
}

/* Templates of another fingerprint are of another engine, which is how tests make foreign ones. */
static int choose_fingerprint(struct fake *f, struct err *e)
{
    const char *text = getenv("HOLM_FAKE_FINGERPRINT");
    if (!text || !text[0])
        text = FINGERPRINT;
    int r = path_printf(f->fingerprint, sizeof(f->fingerprint), "%s", text);
    return r < 0 ? err_errno(e, r, "HOLM_FAKE_FINGERPRINT") : 0;
}

static int fake_init(struct engine *en, struct err *e)
{
    auto_free struct fake *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(e, -ENOMEM, "engine");
    int r = find_program(&en->config, f, e);
    r = r < 0 ? r : choose_fingerprint(f, e);
    r = r < 0 ? r : faults_parse(getenv("HOLM_FAKE_FAULTS"), &f->faults, e);
    if (r < 0)
        return r;
    en->data = TAKE_PTR(f);
    return 0;
}

static void fake_done(struct engine *en)
{
    struct fake *f = TAKE_PTR(en->data);
    faults_done(&f->faults);
    free(f);
}

static int fake_fingerprint(struct engine *en, char *ret, size_t size, struct err *e)
{
    const struct fake *f = en->data;
    int r = path_printf(ret, size, "%s", f->fingerprint);
    return r < 0 ? err_errno(e, r, "fingerprint") : 0;
}

static int fake_facts(struct engine *en, struct engine_fact *ret, int max)
{
    const struct fake *f = en->data;
    struct engine_fact facts[] = {
        {"fake engine", FACT_DEGRADED, "No VM is run: for Holm's own tests only"},
        {"fake monitor", FACT_YES, ""},
    };
    int n = max < (int)ARRAY_SIZE(facts) ? max : (int)ARRAY_SIZE(facts);
    snprintf(facts[1].detail, sizeof(facts[1].detail), "Found at %s", f->program);
    memcpy(ret, facts, (size_t)n * sizeof(*ret));
    return n;
}

/* --- the end of a VM --- */

int fake_open_process(const struct monitor *m)
{
    auto_close int fd = proc_ref_open(&m->proc);
    if (fd < 0)
        return fd;
    /* A child of ours that has ended is there until somebody asks for its status. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 0) > 0) {
        proc_wait(fd, 0, NULL);
        return -ESRCH;
    }
    return TAKE_FD(fd);
}

int fake_open_running(const struct monitor *m, struct err *e)
{
    int fd = fake_open_process(m);
    return fd < 0 ? err_set(e, ERR_UNAVAILABLE, "the fake monitor is gone") : fd;
}

int fake_kill_process(const struct monitor *m, struct err *e)
{
    auto_close int fd = fake_open_process(m);
    if (fd == -ESRCH)
        return 0;
    int r = fd < 0 ? fd : proc_kill_wait(fd, ENGINE_KILL_TIMEOUT_MS);
    return r < 0 ? err_errno(e, r, "end the fake monitor %d", (int)m->proc.pid) : 0;
}

/* The daemon died before it could write the process down: the monitor itself is asked. It has bound
 * its socket before it existed, hence a monitor on its way answers as well. */
static int quit_unknown(const struct monitor *m, struct err *e)
{
    auto_buf struct buf answer = {0};
    struct err own = ERR_INIT;
    int r = control_call(m->vm_dir, "quit", &answer, &own);
    if (r == 0 || own.class == ERR_UNAVAILABLE)
        return 0;
    return err_set(e, own.class, "%s", own.text);
}

static int fake_kill(struct engine *en, const struct monitor *m, struct err *e)
{
    struct fake *f = en->data;
    faults_pass(&f->faults, STEP_KILL, MOMENT_BEGIN);
    int r = faults_fail(&f->faults, FAULT_KILL_FAIL, e);
    if (r < 0)
        return r;
    r = m->proc.pid > 0 ? fake_kill_process(m, e) : quit_unknown(m, e);
    if (r < 0)
        return r;
    faults_pass(&f->faults, STEP_KILL, MOMENT_MID);
    starter_clean(m->vm_dir);
    faults_pass(&f->faults, STEP_KILL, MOMENT_END);
    return 0;
}

const struct engine_ops engine_fake_ops = {
    .name = "fake",
    .init = fake_init,
    .done = fake_done,
    .boot = fake_boot,
    .restore = fake_restore,
    .pause = fake_pause,
    .resume = fake_resume,
    .capture = fake_capture,
    .flatten = fake_flatten,
    .resize_disk = fake_resize_disk,
    .connect_console = fake_connect_console,
    .power_button = fake_power_button,
    .kill = fake_kill,
    .state = fake_state,
    .stats = fake_stats,
    .connect_agent = fake_connect_agent,
    .fingerprint = fake_fingerprint,
    .facts = fake_facts,
};

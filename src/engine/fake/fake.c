/* SPDX-License-Identifier: Apache-2.0 */

/* The fake engine; README.md tells what it is. A template is a directory with `guest`, what the guest
 * remembers, and `template.json`, what it was. */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "engine/fake/faults.h"
#include "engine/qemu/launch.h"
#include "engine/qemu/sockets.h"

#define FINGERPRINT "fake " HOLM_VERSION
#define GUEST_FILE "guest"
#define CONNECT_TIMEOUT_MS 5000

struct fake {
    struct faults faults;
};

/* Whether an operation shall fail, see README.md. */
static int fault(struct engine *en, const char *what, struct err *e)
{
    struct fake *fake = en->data;
    char how[FAULTS_WORD_SIZE];
    if (!faults_strike(&fake->faults, getenv("HOLM_FAKE_FAULTS"), what, how))
        return 0;
    if (strcmp(how, "enospc") == 0)
        return err_errno(e, -ENOSPC, "%s", what);
    if (strcmp(how, "gone") == 0)
        return err_set(e, ERR_UNAVAILABLE, "the monitor has ended: a fault on order");
    return err_set(e, ERR_INTERNAL, "%s: a fault on order", what);
}

/* The fault that a guest shall have, as one word: "agent-never", "exec-reset", ... or "none". */
static void guest_fault(struct engine *en, const char *how_started, char ret[80])
{
    static const char *const whats[] = {"agent", "exec"};
    struct fake *fake = en->data;
    const char *list = getenv("HOLM_FAKE_FAULTS");
    snprintf(ret, 80, "none");
    for (size_t i = 0; i < ARRAY_SIZE(whats); i++) {
        char how[FAULTS_WORD_SIZE], limited[FAULTS_WORD_SIZE];
        snprintf(limited, sizeof(limited), "%s.%s", how_started, whats[i]);
        if (faults_strike(&fake->faults, list, limited, how) ||
            faults_strike(&fake->faults, list, whats[i], how)) {
            snprintf(ret, 80, "%s-%s", whats[i], how);
            return;
        }
    }
}

static int fake_init(struct engine *en, struct err *e)
{
    struct fake *fake = calloc(1, sizeof(*fake));
    if (!fake)
        return err_errno(e, -ENOMEM, "engine");
    faults_init(&fake->faults);
    en->data = fake;
    return 0;
}

static void fake_done(struct engine *en)
{
    struct fake *fake = en->data;
    faults_done(&fake->faults);
    free(fake);
}

static int start(struct engine *en, const struct vm_spec *spec, const char *how,
                 struct monitor *ret, struct err *e)
{
    auto_launch struct launch l = {.helper_dir = en->config.helper_dir, .vm_dir = spec->vm_dir};
    char path[PATH_MAX], word[80];
    int r = path_printf(path, sizeof(path), "%s/" SOCKETS_AGENT, spec->vm_dir);
    auto_close int fd = r < 0 ? r : unix_listen(path, 0600, 16);
    if (fd < 0)
        return err_errno(e, fd, "listen on %s", path);
    int given = launch_give(&l, fd, e);
    if (given < 0)
        return given;
    guest_fault(en, how, word);
    argv_add(&l.program, "%s/holm-fake-monitor", en->config.helper_dir);
    argv_add(&l.program, "%d", given);
    argv_add(&l.program, "%s/" GUEST_FILE, spec->vm_dir);
    argv_add(&l.program, "%s", word);
    struct monitor m = {.uid = spec->uid, .shape = spec->shape};
    memcpy(m.id, spec->id, ID_LEN);
    r = path_printf(m.vm_dir, sizeof(m.vm_dir), "%s", spec->vm_dir);
    if (r < 0)
        return err_errno(e, r, "%s", spec->vm_dir);
    r = launch_run(&l, &m.proc, e);
    if (r == 0)
        *ret = m;
    return r;
}

static int fake_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                     struct err *e)
{
    int r = fault(en, "boot", e);
    if (r == 0)
        r = start(en, spec, "boot", ret, e);
    return r < 0 ? err_wrap(e, r, "boot") : 0;
}

/* Copies the guest's memory from one directory to another. */
static int copy_guest(const char *from_dir, const char *to_dir, struct err *e)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = path_printf(from, sizeof(from), "%s/" GUEST_FILE, from_dir);
    if (r == 0)
        r = path_printf(to, sizeof(to), "%s/" GUEST_FILE, to_dir);
    if (r == 0)
        r = file_copy(from, to, 0600);
    return r < 0 ? err_errno(e, r, "copy %s/" GUEST_FILE, from_dir) : 0;
}

static int check_template(const struct vm_spec *spec, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    int r = path_printf(path, sizeof(path), "%s/template.json", spec->template_dir);
    if (r == 0)
        r = file_read(path, &text, MANIFEST_MAX_BYTES);
    if (r == -ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there is no template in %s", spec->template_dir);
    if (r < 0)
        return err_errno(e, r, "read %s", path);
    json_t *j = json_loadb(text.data, text.len, 0, NULL);
    const char *made_by = json_string_value(json_object_get(j, "fingerprint"));
    int memory_mib = (int)json_integer_value(json_object_get(j, "memory_mib"));
    if (!made_by || strcmp(made_by, FINGERPRINT) != 0)
        r = err_set(e, ERR_CONFLICT, "the template is damaged or was made by \"%.80s\"",
                    made_by ? made_by : "");
    else if (memory_mib != spec->shape.memory_mib)
        r = err_set(e, ERR_CONFLICT, "the template has %d MiB, not %d", memory_mib,
                    spec->shape.memory_mib);
    json_decref(j);
    return r;
}

static int fake_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                        struct err *e)
{
    int r = fault(en, "restore", e);
    if (r == 0)
        r = check_template(spec, e);
    if (r == 0)
        r = copy_guest(spec->template_dir, spec->vm_dir, e);
    if (r == 0)
        r = start(en, spec, "restore", ret, e);
    return r < 0 ? err_wrap(e, r, "restore") : 0;
}

/* 'T' is stopped; 0: it has ended. */
static char process_state(const struct monitor *m)
{
    char path[64];
    auto_buf struct buf text = {0};
    auto_close int pidfd = proc_ref_open(&m->proc);
    if (pidfd < 0 || proc_wait(pidfd, 0, NULL) == 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", m->proc.pid);
    const char *at = file_read(path, &text, 4096) < 0 ? NULL : strrchr(buf_str(&text), ')');
    return at && at[1] ? at[2] : 0;
}

static int fake_state(struct engine *en, const struct monitor *m, enum monitor_state *ret,
                      struct err *e)
{
    int r = fault(en, "state", e);
    if (r < 0)
        return r;
    char state = process_state(m);
    *ret = !state ? MONITOR_GONE : state == 'T' ? MONITOR_PAUSED : MONITOR_RUNNING;
    return 0;
}

/* Sends SIGSTOP or SIGCONT and waits until it shows. */
static int send_and_wait(const struct monitor *m, int sig, struct err *e)
{
    auto_close int pidfd = proc_ref_open(&m->proc);
    if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0)
        return err_set(e, ERR_UNAVAILABLE, "the monitor has ended");
    for (int i = 0; i < 1000; i++) {
        char state = process_state(m);
        if (!state)
            return err_set(e, ERR_UNAVAILABLE, "the monitor has ended");
        if ((state == 'T') == (sig == SIGSTOP))
            return 0;
        poll(NULL, 0, 1);
    }
    return err_set(e, ERR_TIMEOUT, "the monitor does not react");
}

static int fake_pause(struct engine *en, const struct monitor *m, struct err *e)
{
    int r = fault(en, "pause", e);
    return r < 0 ? r : send_and_wait(m, SIGSTOP, e);
}

static int fake_resume(struct engine *en, const struct monitor *m, struct err *e)
{
    int r = fault(en, "resume", e);
    return r < 0 ? r : send_and_wait(m, SIGCONT, e);
}

static int store_template(const struct monitor *m, const char *dir, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    int r = buf_printf(&text, "{\"fingerprint\": \"%s\", \"vcpus\": %d, \"memory_mib\": %d}\n",
                       FINGERPRINT, m->shape.vcpus, m->shape.memory_mib);
    if (r == 0)
        r = path_printf(path, sizeof(path), "%s/template.json", dir);
    if (r == 0)
        r = file_write_atomic(path, text.data, text.len, 0444);
    return r < 0 ? err_errno(e, r, "write %s/template.json", dir) : 0;
}

static int fake_capture(struct engine *en, const struct monitor *m, const char *out_dir,
                        struct capture_times *ret, struct err *e)
{
    char dir[PATH_MAX];
    struct stat st;
    if (lstat(out_dir, &st) == 0)
        return err_set(e, ERR_CONFLICT, "%s exists already", out_dir);
    if (!process_state(m))
        return err_set(e, ERR_UNAVAILABLE, "capture: the monitor has ended");
    int r = path_printf(dir, sizeof(dir), "%s.part", out_dir);
    if (r == 0)
        r = dir_remove(dir);
    if (r == 0 && mkdir(dir, 0700) < 0)
        r = -errno;
    if (r < 0)
        return err_errno(e, r, "make %s.part", out_dir);
    r = copy_guest(m->vm_dir, dir, e);
    if (r == 0)
        r = store_template(m, dir, e);
    /* The fault comes last, so that cleaning up is part of what is tested. */
    if (r == 0)
        r = fault(en, "capture", e);
    if (r == 0 && rename(dir, out_dir) < 0)
        r = err_errno(e, -errno, "rename to %s", out_dir);
    if (r < 0)
        (void)dir_remove(dir);
    *ret = (struct capture_times){.pause_us = 1};
    return r;
}

static int fake_power_button(struct engine *en, const struct monitor *m, struct err *e)
{
    int r = fault(en, "power_button", e);
    auto_close int pidfd = proc_ref_open(&m->proc);
    /* A guest that obeys: it ends. */
    if (r == 0 && (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0))
        r = err_set(e, ERR_UNAVAILABLE, "the monitor has ended");
    return r;
}

static int fake_kill(struct engine *en, const struct monitor *m, struct err *e)
{
    char path[PATH_MAX];
    int r = fault(en, "kill", e);
    if (r < 0)
        return r;
    auto_close int pidfd = proc_ref_open(&m->proc);
    r = pidfd < 0 ? pidfd : proc_kill_wait(pidfd, ENGINE_KILL_TIMEOUT_MS);
    if (r < 0 && r != -ESRCH)
        return err_errno(e, r, "kill monitor %d", m->proc.pid);
    if (path_printf(path, sizeof(path), "%s/" SOCKETS_AGENT, m->vm_dir) == 0)
        unlink(path);
    return 0;
}

static int fake_stats(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
                      struct err *e)
{
    char path[PATH_MAX];
    struct stat st = {0};
    int r = fault(en, "stats", e);
    if (r == 0 && !process_state(m))
        r = err_set(e, ERR_UNAVAILABLE, "the monitor has ended");
    if (r < 0)
        return r;
    if (path_printf(path, sizeof(path), "%s/" GUEST_FILE, m->vm_dir) == 0)
        (void)stat(path, &st);
    *ret = (struct monitor_stats){.cpu_us = 1,
                                  .pss_bytes = 1 * MIB,
                                  .private_bytes = 1 * MIB,
                                  .disk_bytes = (uint64_t)st.st_blocks * 512};
    return 0;
}

static int fake_connect_agent(struct engine *en, const struct monitor *m, struct err *e)
{
    char path[PATH_MAX];
    int r = fault(en, "connect", e);
    if (r < 0)
        return r;
    r = path_printf(path, sizeof(path), "%s/" SOCKETS_AGENT, m->vm_dir);
    int fd = r < 0 ? r : sockets_connect(path, CONNECT_TIMEOUT_MS);
    return fd < 0 ? err_set(e, ERR_UNAVAILABLE, "the guest's agent cannot be reached: %s",
                            strerror(-fd))
                  : fd;
}

static int fake_fingerprint(struct engine *en, char *ret, size_t size, struct err *e)
{
    int r = path_printf(ret, size, "%s", FINGERPRINT);
    return r < 0 ? err_errno(e, r, "fingerprint") : 0;
}

static int fake_facts(struct engine *en, struct engine_fact *ret, int max)
{
    ret[0] = (struct engine_fact){
        .name = "engine", .state = FACT_DEGRADED, .detail = "The fake engine runs no VMs."};
    return 1;
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
    .power_button = fake_power_button,
    .kill = fake_kill,
    .state = fake_state,
    .stats = fake_stats,
    .connect_agent = fake_connect_agent,
    .fingerprint = fake_fingerprint,
    .facts = fake_facts,
};

/* SPDX-License-Identifier: Apache-2.0 */

/* The fake engine: everything an engine does, with a small process instead of a VM. README.md says
 * what its guests understand and which faults can be ordered.
 *
 * A template is a directory with `template.json` (what this file checks) and `state` (the guest, as
 * its monitor wrote it). */

#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/control.h"
#include "engine/fake/faults.h"
#include "engine/fake/starter.h"
#include "wire/field.h"

#define FINGERPRINT "fake/1"
#define PAGE_BYTES 4096

struct fake {
    struct faults faults;
    char program[PATH_MAX];
};

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

static int fake_init(struct engine *en, struct err *e)
{
    auto_free struct fake *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(e, -ENOMEM, "engine");
    int r = faults_parse(getenv("HOLM_FAKE_FAULTS"), &f->faults, e);
    r = r < 0 ? r : find_program(&en->config, f, e);
    if (r < 0)
        return r;
    en->data = TAKE_PTR(f);
    return 0;
}

static void fake_done(struct engine *en)
{
    free(TAKE_PTR(en->data));
}

static int fake_fingerprint(struct engine *en, char *ret, size_t size, struct err *e)
{
    int r = path_printf(ret, size, FINGERPRINT);
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

/* -ESRCH: it has ended. Otherwise a pidfd. */
static int open_process(const struct monitor *m)
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

static int kill_process(const struct monitor *m, struct err *e)
{
    auto_close int fd = open_process(m);
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
    if (faults_take(&f->faults, FAULT_KILL_FAIL))
        return err_set(e, ERR_INTERNAL, "kill=fail was ordered");
    int r = m->proc.pid > 0 ? kill_process(m, e) : quit_unknown(m, e);
    if (r == 0)
        starter_clean(m->vm_dir);
    return r;
}

/* --- the start of a VM --- */

/* The faults of a start, in the order of this list. */
static const struct {
    enum fault boot, restore;
    const char *word;
} start_faults[] = {
    {FAULT_BOOT_AGENT_NEVER, FAULT_RESTORE_AGENT_NEVER, "agent=never"},
    {FAULT_BOOT_AGENT_GARBAGE, FAULT_RESTORE_AGENT_GARBAGE, "agent=garbage"},
    {FAULT_BOOT_EXEC_RESET, FAULT_RESTORE_EXEC_RESET, "exec=reset"},
    {FAULT_BOOT_EXEC_DIE, FAULT_RESTORE_EXEC_DIE, "exec=die"},
};

/* `template_word` is NULL for a boot. */
static int start(struct fake *f, const struct vm_spec *spec, const char *template_word,
                 struct monitor *ret, struct err *e)
{
    bool boots = !template_word;
    struct starter_request q = {.program = f->program, .id = spec->id, .vm_dir = spec->vm_dir};
    int n = 0;
    if (template_word)
        q.words[n++] = template_word;
    for (size_t i = 0; i < ARRAY_SIZE(start_faults) && n < STARTER_WORDS_MAX; i++) {
        if (faults_take(&f->faults, boots ? start_faults[i].boot : start_faults[i].restore))
            q.words[n++] = start_faults[i].word;
    }
    struct monitor m = {.uid = spec->uid, .shape = spec->shape};
    path_printf(m.id, sizeof(m.id), "%s", spec->id);
    if (path_printf(m.vm_dir, sizeof(m.vm_dir), "%s", spec->vm_dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", spec->vm_dir);
    int r = starter_start(&q, &m.proc, e);
    if (r < 0)
        return r;
    /* As late as possible: a failure then has the most to clean up. */
    enum fault fault = boots ? FAULT_BOOT_FAIL : FAULT_RESTORE_FAIL;
    if (faults_take(&f->faults, fault)) {
        r = kill_process(&m, e);
        starter_clean(m.vm_dir);
        return r < 0 ? r : err_set(e, ERR_INTERNAL, "%s was ordered", faults_name(fault));
    }
    *ret = m;
    return 0;
}

static int fake_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                     struct err *e)
{
    const char *const files[] = {spec->kernel, spec->initrd, spec->rootfs};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (access(files[i], R_OK) < 0)
            return err_errno(e, -errno, "%s", files[i]);
    return start(en->data, spec, NULL, ret, e);
}

static int check_template(const struct vm_spec *spec, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    auto_json json_t *obj = NULL;
    const char *print = "";
    int64_t vcpus = 0, memory_mib = 0;
    int r = path_printf(path, sizeof(path), "%s/template.json", spec->template_dir);
    r = r < 0 ? r : file_read(path, &text, MANIFEST_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read %s/template.json", spec->template_dir);
    struct field_range any = {0, INT32_MAX};
    r = field_parse(buf_str(&text), text.len, &obj, e);
    r = r < 0 ? r : field_str(obj, "fingerprint", FIELD_REQUIRED, 64, &print, e);
    r = r < 0 ? r : field_int(obj, "vcpus", FIELD_REQUIRED, any, &vcpus, e);
    r = r < 0 ? r : field_int(obj, "memory_mib", FIELD_REQUIRED, any, &memory_mib, e);
    if (r < 0)
        return err_wrap(e, r, "%s", path);
    if (strcmp(print, FINGERPRINT) != 0)
        return err_set(e, ERR_CONFLICT, "%s is of another engine", path);
    if (vcpus != spec->shape.vcpus || memory_mib != spec->shape.memory_mib)
        return err_set(e, ERR_CONFLICT, "%s is of a machine of another shape", path);
    return 0;
}

static int fake_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                        struct err *e)
{
    auto_free char *word = NULL;
    int r = check_template(spec, e);
    if (r < 0)
        return r;
    if (asprintf(&word, "template=%s", spec->template_dir) < 0) {
        word = NULL;
        return err_errno(e, -ENOMEM, "restore");
    }
    return start(en->data, spec, word, ret, e);
}

/* --- a running VM --- */

static int call(const struct monitor *m, const char *request, struct err *e)
{
    auto_buf struct buf answer = {0};
    auto_close int fd = open_process(m);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "the fake monitor is gone");
    return control_call(m->vm_dir, request, &answer, e);
}

static int fake_pause(struct engine *en, const struct monitor *m, struct err *e)
{
    return call(m, "pause", e);
}

static int fake_resume(struct engine *en, const struct monitor *m, struct err *e)
{
    return call(m, "resume", e);
}

static int fake_power_button(struct engine *en, const struct monitor *m, struct err *e)
{
    return call(m, "power", e);
}

static int fake_state(struct engine *en, const struct monitor *m, enum monitor_state *ret,
                      struct err *e)
{
    auto_buf struct buf answer = {0};
    struct err own = ERR_INIT;
    auto_close int fd = open_process(m);
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

/* Fields 14 and 15 of /proc/PID/stat, in ticks. The name in parentheses may hold anything. */
static uint64_t cpu_us(const char *stat_text)
{
    const char *p = strrchr(stat_text, ')');
    for (int field = 2; p && field < 14; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        return 0;
    char *end;
    uint64_t ticks = strtoull(p, &end, 10);
    ticks += strtoull(end, NULL, 10);
    return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static int fake_stats(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
                      struct err *e)
{
    auto_buf struct buf rollup = {0};
    auto_buf struct buf stat_text = {0};
    auto_buf struct buf answer = {0};
    auto_close int fd = open_process(m);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "the fake monitor is gone");
    int r = control_call(m->vm_dir, "stats", &answer, e);
    if (r < 0)
        return r;
    r = read_proc(m->proc.pid, "stat", &stat_text);
    r = r < 0 ? r : read_proc(m->proc.pid, "smaps_rollup", &rollup);
    if (r < 0)
        return err_errno(e, r, "read /proc/%d", (int)m->proc.pid);
    *ret = (struct monitor_stats){
        .cpu_us = cpu_us(buf_str(&stat_text)),
        .pss_bytes = rollup_bytes(buf_str(&rollup), "\nPss:"),
        .private_bytes = rollup_bytes(buf_str(&rollup), "\nPrivate_Clean:") +
                         rollup_bytes(buf_str(&rollup), "\nPrivate_Dirty:"),
        .disk_bytes = strtoull(buf_str(&answer), NULL, 10),
    };
    return 0;
}

static int fake_connect_agent(struct engine *en, const struct monitor *m, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/" STARTER_AGENT_SOCKET, m->vm_dir);
    int fd = r < 0 ? r : unix_connect(path);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return starter_explain(m->vm_dir, e);
    return fd < 0 ? err_errno(e, fd, "connect to %s/" STARTER_AGENT_SOCKET, m->vm_dir) : fd;
}

/* --- capture --- */

static int write_manifest(const struct monitor *m, const char *dir, struct err *e)
{
    char path[PATH_MAX];
    auto_json json_t *obj = json_pack("{s:s, s:i, s:i}", "fingerprint", FINGERPRINT, "vcpus",
                                      m->shape.vcpus, "memory_mib", m->shape.memory_mib);
    auto_free char *text = obj ? json_dumps(obj, JSON_INDENT(2)) : NULL;
    if (!text)
        return err_errno(e, -ENOMEM, "template.json");
    int r = path_printf(path, sizeof(path), "%s/template.json", dir);
    r = r < 0 ? r : file_write_atomic(path, text, strlen(text), 0644);
    return r < 0 ? err_errno(e, r, "write %s/template.json", dir) : 0;
}

static int fill_template(struct fake *f, const struct monitor *m, const char *dir,
                         struct capture_times *ret, struct err *e)
{
    char request[PATH_MAX];
    auto_buf struct buf answer = {0};
    uint64_t bytes = 0;
    int r = path_printf(request, sizeof(request), "save %s/state", dir);
    r = r < 0 ? err_errno(e, r, "%s", dir) : control_call(m->vm_dir, request, &answer, e);
    if (r < 0)
        return r;
    if (sscanf(buf_str(&answer), "%" SCNd64 " %" SCNu64, &ret->pause_us, &bytes) != 2)
        return err_set(e, ERR_INTERNAL, "the fake monitor's answer makes no sense");
    ret->dirty_pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    /* Half way, so that there is something to remove. */
    if (faults_take(&f->faults, FAULT_CAPTURE_FAIL))
        return err_set(e, ERR_INTERNAL, "capture=fail was ordered");
    if (faults_take(&f->faults, FAULT_CAPTURE_ENOSPC))
        return err_errno(e, -ENOSPC, "write %s/state", dir);
    return write_manifest(m, dir, e);
}

/* The directory gets its name when it is whole: a daemon that is killed in mid-capture leaves one
 * that no record names. */
static int fake_capture(struct engine *en, const struct monitor *m, const char *out_dir,
                        enum capture_kind kind, struct capture_times *ret, struct err *e)
{
    char dir[PATH_MAX];
    struct capture_times times = {0};
    auto_close int fd = open_process(m);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "the fake monitor is gone");
    if (path_printf(dir, sizeof(dir), "%s.new", out_dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", out_dir);
    if (mkdir(dir, 0755) < 0)
        return err_errno(e, -errno, "make %s", dir);
    int r = fill_template(en->data, m, dir, &times, e);
    if (r == 0 && renameat2(AT_FDCWD, dir, AT_FDCWD, out_dir, RENAME_NOREPLACE) < 0)
        r = errno == EEXIST ? err_set(e, ERR_CONFLICT, "%s exists already", out_dir)
                            : err_errno(e, -errno, "rename %s", dir);
    if (r < 0) {
        dir_remove(dir);
        return r;
    }
    *ret = times;
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
    .power_button = fake_power_button,
    .kill = fake_kill,
    .state = fake_state,
    .stats = fake_stats,
    .connect_agent = fake_connect_agent,
    .fingerprint = fake_fingerprint,
    .facts = fake_facts,
};

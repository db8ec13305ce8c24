/* SPDX-License-Identifier: Apache-2.0 */

/* The choke point: everything the host asks of an engine passes here, is checked, handed over and
 * traced. The checks find bugs of ours early and keep hostile strings (an id, a path) from getting
 * as far as an engine; they are not a substitute for the host's own validation of requests. */

#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

static const struct engine_ops *const engines[] = {&engine_qemu_ops, &engine_fake_ops};

int engine_new(const char *name, const struct engine_config *config, struct engine **ret,
               struct err *e)
{
    const struct engine_ops *ops = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
        if (strcmp(engines[i]->name, name) == 0)
            ops = engines[i];
    if (!ops)
        return err_set(e, ERR_INVALID, "there is no engine named \"%s\"", name);
    auto_free struct engine *en = calloc(1, sizeof(*en));
    if (!en)
        return err_errno(e, -ENOMEM, "engine");
    en->ops = ops;
    en->config = *config;
    en->accel = "none";
    int r = ops->init(en, e);
    if (r < 0)
        return err_wrap(e, r, "engine %s", name);
    *ret = TAKE_PTR(en);
    return 0;
}

void engine_free(struct engine *en)
{
    if (!en)
        return;
    en->ops->done(en);
    free(en);
}

/* Writes one debug line about a finished call and passes its result on. */
static int traced(const struct engine *en, const char *what, const char *id, int64_t start_us,
                  int r)
{
    log_debug("engine", "%s engine=%s vm=%s result=%d us=%lld", what, en->ops->name, id, r,
              (long long)(clock_mono_us() - start_us));
    return r;
}

static bool path_ok(const char *path)
{
    return path && path[0] == '/' && strlen(path) < PATH_MAX / 4 && !strstr(path, "/../");
}

static int check_shape(const struct machine_shape *shape, struct err *e)
{
    if (shape->vcpus < 1 || shape->vcpus > VM_VCPUS_MAX)
        return err_set(e, ERR_INVALID, "%d vCPUs are not within 1 to %d", shape->vcpus,
                       VM_VCPUS_MAX);
    if (shape->memory_mib < VM_MEMORY_MIN_MIB || shape->memory_mib > VM_MEMORY_MAX_MIB)
        return err_set(e, ERR_INVALID, "%d MiB of memory are not within %d to %d",
                       shape->memory_mib, VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB);
    return 0;
}

static int check_spec(const struct vm_spec *spec, struct err *e)
{
    if (!id_valid(spec->id))
        return err_set(e, ERR_INVALID, "the VM's id is not %d characters of 0-9a-z", ID_LEN);
    if (!path_ok(spec->vm_dir))
        return err_set(e, ERR_INVALID, "the VM's directory is not a plain absolute path");
    return check_shape(&spec->shape, e);
}

static int check_names(const struct monitor *m, struct err *e)
{
    if (!id_valid(m->id) || !path_ok(m->vm_dir))
        return err_set(e, ERR_INVALID, "the monitor's id or directory is not valid");
    return 0;
}

static int check_monitor(const struct monitor *m, struct err *e)
{
    int r = check_names(m, e);
    if (r < 0)
        return r;
    return m->proc.pid > 1 ? r : err_set(e, ERR_INVALID, "the monitor has no process");
}

int engine_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_spec(spec, e);
    if (r == 0 && ((spec->rootfs && !path_ok(spec->rootfs)) || !path_ok(spec->kernel) ||
                   !path_ok(spec->initrd)))
        r = err_set(e, ERR_INVALID, "rootfs, kernel and initrd must be absolute paths");
    struct monitor m = {0};
    if (r == 0)
        r = en->ops->boot(en, spec, &m, e);
    if (r == 0)
        *ret = m;
    return traced(en, "boot", spec->id, start_us, r);
}

int engine_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                   struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_spec(spec, e);
    if (r == 0 && !path_ok(spec->template_dir))
        r = err_set(e, ERR_INVALID, "the template's directory is not a plain absolute path");
    struct monitor m = {0};
    if (r == 0)
        r = en->ops->restore(en, spec, &m, e);
    if (r == 0)
        *ret = m;
    return traced(en, "restore", spec->id, start_us, r);
}

int engine_pause(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "pause", m->id, start_us, r < 0 ? r : en->ops->pause(en, m, e));
}

int engine_resume(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "resume", m->id, start_us, r < 0 ? r : en->ops->resume(en, m, e));
}

int engine_capture(struct engine *en, const struct monitor *m, const char *out_dir,
                   enum capture_kind kind, struct capture_times *ret, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    if (r == 0 && !path_ok(out_dir))
        r = err_set(e, ERR_INVALID, "the directory to capture into is not a plain absolute path");
    struct capture_times times = {0};
    if (r == 0)
        r = en->ops->capture(en, m, out_dir, kind, &times, e);
    times.total_us = clock_mono_us() - start_us;
    if (r == 0 && ret)
        *ret = times;
    return traced(en, "capture", m->id, start_us, r);
}

int engine_flatten(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "flatten", m->id, start_us, r < 0 ? r : en->ops->flatten(en, m, e));
}

int engine_resize_disk(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "resize_disk", m->id, start_us,
                  r < 0 ? r : en->ops->resize_disk(en, m, bytes, e));
}

int engine_power_button(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "power_button", m->id, start_us, r < 0 ? r : en->ops->power_button(en, m, e));
}

int engine_kill(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_names(m, e);
    return traced(en, "kill", m->id, start_us, r < 0 ? r : en->ops->kill(en, m, e));
}

int engine_state(struct engine *en, const struct monitor *m, enum monitor_state *ret, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "state", m->id, start_us, r < 0 ? r : en->ops->state(en, m, ret, e));
}

int engine_stats(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
                 struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "stats", m->id, start_us, r < 0 ? r : en->ops->stats(en, m, ret, e));
}

int engine_connect_agent(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "connect_agent", m->id, start_us,
                  r < 0 ? r : en->ops->connect_agent(en, m, e));
}

int engine_connect_console(struct engine *en, const struct monitor *m, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = check_monitor(m, e);
    return traced(en, "connect_console", m->id, start_us,
                  r < 0 ? r : en->ops->connect_console(en, m, e));
}

int engine_fingerprint(struct engine *en, char *ret, size_t size, struct err *e)
{
    return en->ops->fingerprint(en, ret, size, e);
}

int engine_facts(struct engine *en, struct engine_fact *ret, int max)
{
    return max > 0 ? en->ops->facts(en, ret, max) : 0;
}

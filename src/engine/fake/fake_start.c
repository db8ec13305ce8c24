/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/fake.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/fake/starter.h"

/* The faults of a start, in the order of this list. FAULT_COUNT: there is none of the kind. */
static const struct {
    enum fault boot, restore;
    const char *word;
} start_faults[] = {
    {FAULT_BOOT_AGENT_NEVER, FAULT_RESTORE_AGENT_NEVER, "agent=never"},
    {FAULT_BOOT_AGENT_GARBAGE, FAULT_RESTORE_AGENT_GARBAGE, "agent=garbage"},
    {FAULT_BOOT_AGENT_SLOW, FAULT_RESTORE_AGENT_SLOW, "agent=slow"},
    {FAULT_BOOT_EXEC_RESET, FAULT_RESTORE_EXEC_RESET, "exec=reset"},
    {FAULT_BOOT_EXEC_DIE, FAULT_RESTORE_EXEC_DIE, "exec=die"},
    {FAULT_BOOT_GROW_FAIL, FAULT_RESTORE_GROW_FAIL, "grow=fail"},
    {FAULT_BOOT_POWER_IGNORE, FAULT_RESTORE_POWER_IGNORE, "power=ignore"},
    {FAULT_BOOT_WARM_REFUSE, FAULT_COUNT, "warm=refuse"},
    {FAULT_COUNT, FAULT_RESTORE_WARM_DIE, "warm=die"},
};

/* A boot or a restore: where they differ. */
struct start {
    bool is_boot;
    enum fault_step step;
    enum fault fail;
    const char *words[3]; /* what the monitor is told of the guest to make */
};

static int add_faults(struct fake *f, const struct start *s, struct starter_request *q)
{
    int n = 0;
    while (n < (int)ARRAY_SIZE(s->words) && s->words[n]) {
        q->words[n] = s->words[n];
        n++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(start_faults) && n < STARTER_WORDS_MAX; i++) {
        enum fault fault = s->is_boot ? start_faults[i].boot : start_faults[i].restore;
        if (fault != FAULT_COUNT && faults_take(&f->faults, fault))
            q->words[n++] = start_faults[i].word;
    }
    return n;
}

/* As late as possible: a failure then has the most to clean up. */
static int fail_late(struct fake *f, const struct start *s, const struct monitor *m, struct err *e)
{
    if (!faults_take(&f->faults, s->fail))
        return 0;
    int r = fake_kill_process(m, e);
    starter_clean(m->vm_dir);
    return r < 0 ? r : err_set(e, ERR_INTERNAL, "%s was ordered", faults_name(s->fail));
}

static int start(struct fake *f, const struct vm_spec *spec, const struct start *s,
                 struct monitor *ret, struct err *e)
{
    struct starter_request q = {
        .program = f->program, .id = spec->id, .vm_dir = spec->vm_dir, .tap_fd = spec->tap_fd};
    struct monitor m = {.uid = spec->uid, .shape = spec->shape};
    add_faults(f, s, &q);
    path_printf(m.id, sizeof(m.id), "%s", spec->id);
    if (path_printf(m.vm_dir, sizeof(m.vm_dir), "%s", spec->vm_dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", spec->vm_dir);
    int r = starter_start(&q, &m.proc, e);
    if (r < 0)
        return r;
    faults_pass(&f->faults, s->step, MOMENT_MID);
    r = fail_late(f, s, &m, e);
    if (r < 0)
        return r;
    *ret = m;
    faults_pass(&f->faults, s->step, MOMENT_END);
    return 0;
}

static int check_files(const struct vm_spec *spec, struct err *e)
{
    const char *const files[] = {spec->kernel, spec->initrd, spec->rootfs};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (files[i] && access(files[i], R_OK) < 0)
            return err_errno(e, -errno, "%s", files[i]);
    return 0;
}

/* Without an image there must be a disk already. */
static int check_disk(const struct vm_spec *spec, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/disk.log", spec->vm_dir);
    if (r < 0 || spec->rootfs || access(path, F_OK) == 0)
        return r < 0 ? err_errno(e, r, "%s", spec->vm_dir) : 0;
    return err_set(e, ERR_NOT_FOUND, "there is no disk in %s", spec->vm_dir);
}

/* The image's content means nothing here, but its size is the file system's. */
static int image_bytes(const struct vm_spec *spec, int64_t *ret, struct err *e)
{
    struct stat st;
    *ret = 0;
    if (!spec->rootfs)
        return 0;
    if (stat(spec->rootfs, &st) < 0)
        return err_errno(e, -errno, "%s", spec->rootfs);
    *ret = st.st_size;
    return 0;
}

int fake_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e)
{
    struct fake *f = en->data;
    char image[32], device[32];
    int64_t bytes;
    faults_pass(&f->faults, STEP_BOOT, MOMENT_BEGIN);
    int r = check_files(spec, e);
    r = r < 0 ? r : check_disk(spec, e);
    r = r < 0 ? r : image_bytes(spec, &bytes, e);
    if (r < 0)
        return r;
    if (spec->disk_bytes && spec->rootfs && spec->disk_bytes < (uint64_t)bytes)
        return err_set(e, ERR_INVALID, "a disk of %" PRIu64 " bytes is smaller than its image",
                       spec->disk_bytes);
    path_printf(image, sizeof(image), "image=%" PRId64, bytes);
    path_printf(device, sizeof(device), "device=%" PRIu64, spec->disk_bytes);
    struct start s = {.is_boot = true, .step = STEP_BOOT, .fail = FAULT_BOOT_FAIL};
    s.words[0] = spec->rootfs ? image : "disk=kept";
    s.words[1] = spec->disk_bytes ? device : NULL;
    return start(f, spec, &s, ret, e);
}

int fake_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e)
{
    struct fake *f = en->data;
    char word[PATH_MAX];
    faults_pass(&f->faults, STEP_RESTORE, MOMENT_BEGIN);
    int r = fake_check_template(f, spec, e);
    if (r < 0)
        return r;
    if (path_printf(word, sizeof(word), "template=%s", spec->template_dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", spec->template_dir);
    const struct start s = {.step = STEP_RESTORE, .fail = FAULT_RESTORE_FAIL, .words = {word}};
    return start(f, spec, &s, ret, e);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* A template is a directory with `state` (the guest's memory) and `disk`, as its monitor wrote
 * them, and `template.json`, which says what they are and what they must hash to. */

#include "engine/fake/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/control.h"
#include "engine/fake/pack.h"
#include "wire/field.h"

#define PAGE_BYTES 4096
#define HASH_SIZE 17 /* of its hex */

/* --- checking --- */

static int damaged(struct err *e, const char *what)
{
    return err_set(e, ERR_CONFLICT, "the template is damaged: %.400s", what);
}

static int check_hash(const char *dir, const char *name, const char *expected, struct err *e)
{
    char path[PATH_MAX], hash[HASH_SIZE];
    auto_buf struct buf data = {0};
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    r = r < 0 ? r : file_read(path, &data, FAKE_STATE_MAX_BYTES);
    if (r == -ENOENT)
        return damaged(e, name);
    if (r < 0)
        return err_errno(e, r, "read %s/%s", dir, name);
    snprintf(hash, sizeof(hash), "%016" PRIx64, pack_hash(PACK_HASH_START, data.data, data.len));
    if (strcmp(hash, expected) != 0)
        return err_set(e, ERR_CONFLICT, "the template is damaged: its %s is not what it was", name);
    return 0;
}

static int check_shape(json_t *obj, const struct vm_spec *spec, struct err *e)
{
    const struct field_range any = {0, INT32_MAX};
    struct err own = ERR_INIT;
    int64_t vcpus = 0, memory_mib = 0;
    int r = field_int(obj, "vcpus", FIELD_REQUIRED, any, &vcpus, &own);
    r = r < 0 ? r : field_int(obj, "memory_mib", FIELD_REQUIRED, any, &memory_mib, &own);
    if (r < 0)
        return damaged(e, own.text);
    if (vcpus != spec->shape.vcpus || memory_mib != spec->shape.memory_mib)
        return err_set(e, ERR_CONFLICT, "the template is of a machine of another shape");
    return 0;
}

static int check_parts(json_t *obj, const char *dir, struct err *e)
{
    static const char *const parts[] = {"state", "disk"};
    struct err own = ERR_INIT;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(parts); i++) {
        const char *hash = "";
        r = field_str(obj, parts[i], FIELD_REQUIRED, HASH_SIZE - 1, &hash, &own);
        r = r < 0 ? damaged(e, own.text) : check_hash(dir, parts[i], hash, e);
    }
    return r;
}

int fake_check_template(const struct fake *f, const struct vm_spec *spec, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    auto_json json_t *obj = NULL;
    struct err own = ERR_INIT;
    const char *print = "";
    int r = path_printf(path, sizeof(path), "%s/template.json", spec->template_dir);
    r = r < 0 ? r : file_read(path, &text, MANIFEST_MAX_BYTES);
    if (r == -ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there is no template in %s", spec->template_dir);
    if (r < 0)
        return err_errno(e, r, "read %s/template.json", spec->template_dir);
    r = field_parse(buf_str(&text), text.len, &obj, &own);
    r = r < 0 ? r : field_str(obj, "fingerprint", FIELD_REQUIRED, 64, &print, &own);
    if (r < 0)
        return damaged(e, own.text);
    if (strcmp(print, f->fingerprint) != 0)
        return err_set(e, ERR_CONFLICT, "the template was made by \"%.64s\", this is \"%s\"", print,
                       f->fingerprint);
    r = check_shape(obj, spec, e);
    return r < 0 ? r : check_parts(obj, spec->template_dir, e);
}

/* --- making --- */

/* What the monitor said of its `save`. */
struct saved {
    bool was_running;
    int64_t pause_us;
    uint64_t bytes;
    char state_hash[HASH_SIZE], disk_hash[HASH_SIZE];
};

static int save(const struct monitor *m, const char *dir, enum capture_kind kind, struct saved *ret,
                struct err *e)
{
    static const char *const kinds[] = {
        [CAPTURE_DURABLE] = "durable",
        [CAPTURE_TRANSIENT] = "transient",
        [CAPTURE_SUSPEND] = "suspend",
    };
    char request[PATH_MAX], before[16];
    auto_buf struct buf answer = {0};
    int r = path_printf(request, sizeof(request), "save %s %s", kinds[kind], dir);
    r = r < 0 ? err_errno(e, r, "%s", dir) : control_call(m->vm_dir, request, &answer, e);
    if (r < 0)
        return r;
    if (sscanf(buf_str(&answer), "%15s %" SCNd64 " %" SCNu64 " %16s %16s", before, &ret->pause_us,
               &ret->bytes, ret->state_hash, ret->disk_hash) != 5)
        return err_set(e, ERR_INTERNAL, "the fake monitor's answer makes no sense");
    ret->was_running = strcmp(before, "running") == 0;
    return 0;
}

static int write_manifest(const struct fake *f, const struct monitor *m, const struct saved *s,
                          const char *dir, struct err *e)
{
    char path[PATH_MAX];
    auto_json json_t *obj = json_pack("{s:s, s:i, s:i, s:s, s:s}", "fingerprint", f->fingerprint,
                                      "vcpus", m->shape.vcpus, "memory_mib", m->shape.memory_mib,
                                      "state", s->state_hash, "disk", s->disk_hash);
    auto_free char *text = obj ? json_dumps(obj, JSON_INDENT(2)) : NULL;
    if (!text)
        return err_errno(e, -ENOMEM, "template.json");
    int r = path_printf(path, sizeof(path), "%s/template.json", dir);
    r = r < 0 ? r : file_write_atomic(path, text, strlen(text), 0644);
    return r < 0 ? err_errno(e, r, "write %s/template.json", dir) : 0;
}

/* After the state was written, so that there is something to remove. */
static int finish(struct fake *f, const struct monitor *m, const struct saved *s, const char *dir,
                  struct err *e)
{
    faults_pass(&f->faults, STEP_CAPTURE, MOMENT_MID);
    int r = faults_fail(&f->faults, FAULT_CAPTURE_FAIL, e);
    if (r < 0)
        return r;
    if (faults_take(&f->faults, FAULT_CAPTURE_ENOSPC))
        return err_errno(e, -ENOSPC, "write %s/state", dir);
    return write_manifest(f, m, s, dir, e);
}

static int give_name(const char *dir, const char *out_dir, struct err *e)
{
    if (renameat2(AT_FDCWD, dir, AT_FDCWD, out_dir, RENAME_NOREPLACE) == 0)
        return 0;
    return errno == EEXIST ? err_set(e, ERR_CONFLICT, "%s exists already", out_dir)
                           : err_errno(e, -errno, "rename %s", dir);
}

static int fill(struct fake *f, const struct monitor *m, const char *out_dir,
                enum capture_kind kind, struct saved *s, struct err *e)
{
    char dir[PATH_MAX];
    auto_buf struct buf answer = {0};
    if (path_printf(dir, sizeof(dir), "%s.new", out_dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", out_dir);
    if (mkdir(dir, 0755) < 0)
        return err_errno(e, -errno, "make %s", dir);
    int r = save(m, dir, kind, s, e);
    r = r < 0 ? r : finish(f, m, s, dir, e);
    r = r < 0 ? r : give_name(dir, out_dir, e);
    if (r < 0) {
        if (s->was_running && kind == CAPTURE_SUSPEND)
            control_call(m->vm_dir, "resume", &answer, NULL);
        dir_remove(dir);
    }
    return r;
}

/* The directory gets its name when it is whole: a daemon that is killed in mid-capture leaves one
 * that no record names. */
int fake_capture(struct engine *en, const struct monitor *m, const char *out_dir,
                 enum capture_kind kind, struct capture_times *ret, struct err *e)
{
    struct fake *f = en->data;
    struct saved s = {0};
    faults_pass(&f->faults, STEP_CAPTURE, MOMENT_BEGIN);
    auto_close int fd = fake_open_running(m, e);
    int r = fd < 0 ? fd : faults_fail(&f->faults, FAULT_CAPTURE_PAUSE_FAIL, e);
    r = r < 0 ? r : fill(f, m, out_dir, kind, &s, e);
    if (r < 0)
        return r;
    *ret = (struct capture_times){
        .pause_us = s.pause_us,
        .dirty_pages = (s.bytes + PAGE_BYTES - 1) / PAGE_BYTES,
    };
    faults_pass(&f->faults, STEP_CAPTURE, MOMENT_END);
    return 0;
}

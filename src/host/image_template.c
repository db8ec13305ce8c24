/* SPDX-License-Identifier: Apache-2.0 */

/* How a template is made: boot, warm, capture, publish. */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/guest.h"
#include "host/host_priv.h"
#include "host/image_check.h"
#include "host/image_modules.h"
#include "host/image_priv.h"
#include "host/image_rows.h"
#include "host/program.h"
#include "host/vm_kernel.h"
#include "host/vm_pool.h"
#include "wire/field.h"

#define SYNC_TIMEOUT_MS 60000
#define LAUNCH_HELLOS_MS 10000 /* for the hello programs in a template that launches start from */

/* Version of how a template is made; part of the fingerprint. */
#define PREPARE_VERSION "5"

static json_t *load_json(const char *path)
{
    auto_buf struct buf b = {0};
    if (file_read(path, &b, MANIFEST_MAX_BYTES) < 0)
        return NULL;
    return json_loadb(buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL);
}

/* --- what it depends on --- */

static int add_file(struct buf *b, const char *label, const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(e, -errno, "look at its %s", label);
    return buf_printf(b, "%s=%lld.%lld.%09ld;", label, (long long)st.st_size,
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* Whatever of the row can be in the memory of a process that waits. */
static void add_runtime(struct buf *b, const struct language *lang)
{
    const struct language_warm *w = lang->warm;
    buf_printf(
        b, "runtime=%s;env=%s;run=%s;wait_env=%s;rehearses=%d;twin=%s;file=%s;hello=%s;expect=%s;",
        lang->name, lang->env, w->run, w->env, w->rehearses_itself, w->twin, lang->file,
        lang->hello, lang->expect);
}

int template_fingerprint(struct image_set *s, const struct image *im, struct buf *ret,
                         struct err *e)
{
    const struct host *h = s->host;
    char engine[512], path[PATH_MAX];
    int r = engine_fingerprint(h->engine, engine, sizeof(engine), e);
    if (r < 0)
        return r;
    buf_printf(ret, "prepare=" PREPARE_VERSION ";%s;vcpus=%d;memory_mib=%d;", engine,
               im->shape.vcpus, im->shape.memory_mib);
    /* An uploaded image has a kernel of its own; the agent in the initramfs is the same. */
    if (im->is_uploaded)
        image_path(h, im->key, "vmlinuz", path);
    else
        path_printf(path, sizeof(path), "%s/kernel/vmlinuz", h->config->data_dir);
    r = add_file(ret, "vmlinuz", path, e);
    path_printf(path, sizeof(path), "%s/kernel/initrd.img", h->config->data_dir);
    if (r == 0)
        r = add_file(ret, "initrd.img", path, e);
    image_path(h, im->key, "rootfs.ext4", path);
    if (r == 0)
        r = add_file(ret, "rootfs", path, e);
    if (im->lang && image_has_runtime(h, im->lang))
        add_runtime(ret, im->lang);
    return r == 0 && ret->failed ? err_errno(e, -ENOMEM, "fingerprint") : r;
}

/* --- manifests --- */

void template_manifest(const struct image_set *s, const struct image *im, char *ret)
{
    path_printf(ret, PATH_MAX, "%s/templates/%s.json", s->host->config->data_dir, im->name);
}

void template_id_of(const char *manifest, char ret[ID_SIZE])
{
    auto_json json_t *m = load_json(manifest);
    const char *id = json_string_value(json_object_get(m, "template"));
    snprintf(ret, ID_SIZE, "%s", id && id_valid(id) ? id : "");
}

bool template_reuse(struct image_set *s, const struct image *im, const char *print, char *ret_dir)
{
    char path[PATH_MAX], dir[PATH_MAX / 4];
    template_manifest(s, im, path);
    auto_json json_t *m = load_json(path);
    const char *id, *then;
    if (!m || json_unpack(m, "{s:s, s:s}", "template", &id, "fingerprint", &then) < 0)
        return false;
    if (!id_valid(id) || strcmp(then, print) != 0)
        return false;
    if (path_printf(dir, sizeof(dir), "%s/templates/%s", s->host->config->data_dir, id) < 0 ||
        access(dir, R_OK) < 0)
        return false;
    strcpy(ret_dir, dir);
    return true;
}

int template_publish(struct image_set *s, const struct image *im, const char *id, const char *print,
                     struct err *e)
{
    char path[PATH_MAX], when[CLOCK_RFC3339_SIZE];
    template_manifest(s, im, path);
    clock_rfc3339(clock_real_ns(), when);
    auto_json json_t *m = json_pack("{s:s, s:s, s:s, s:s}", "image", im->key, "template", id,
                                    "fingerprint", print, "created_at", when);
    auto_free char *text = m ? json_dumps(m, JSON_INDENT(2)) : NULL;
    if (!text)
        return err_errno(e, -ENOMEM, "template manifest");
    AUTO_LOCK(&s->manifests);
    int r = file_write_atomic(path, text, strlen(text), 0644);
    return r < 0 ? err_errno(e, r, "write the template's manifest") : 0;
}

void template_remove(struct image_set *s, const struct image *im, bool is_last)
{
    char path[PATH_MAX], id[ID_SIZE], dir[PATH_MAX];
    const char *slash = strrchr(im->template_dir, '/');
    template_manifest(s, im, path);
    path_printf(dir, sizeof(dir), "%s", im->template_dir);
    {
        AUTO_LOCK(&s->manifests);
        template_id_of(path, id);
        if (!slash && is_last && *id)
            path_printf(dir, sizeof(dir), "%s/templates/%s", s->host->config->data_dir, id);
        if (*id && (slash ? strcmp(slash + 1, id) == 0 : is_last))
            unlink(path);
    }
    if (*dir)
        dir_remove(dir);
}

/* --- boot, warm, capture --- */

static bool is_stopping(void *arg)
{
    struct image_set *s = arg;
    return s->stopping;
}

/* An uploaded image's kernel, and what that needs of modules: in a directory of this preparation's
 * own, so that the two belong together whatever is uploaded meanwhile. */
static int stage_kernel(struct image_set *s, struct image *im, const char *stage, struct err *e)
{
    char dir[PATH_MAX], from[PATH_MAX], path[PATH_MAX];
    struct image_kernel kernel;
    struct stat st;
    image_set_state(s, im, LANGUAGE_PREPARING, "looking for its kernel's modules");
    image_path(s->host, im->key, "", dir);
    image_path(s->host, im->key, "vmlinuz", from);
    int r = dir_make(stage, 0700);
    r = r < 0 ? r : path_printf(path, sizeof(path), "%s/vmlinuz", stage);
    if (r < 0 || link(from, path) < 0)
        return err_errno(e, r < 0 ? r : -errno, "take its kernel");
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, -errno, "open its kernel");
    r = image_check_kernel(fd, st.st_size, &kernel, e);
    struct image_modules m = {.host = s->host, .dir = dir, .to = stage, .release = kernel.release};
    return r < 0 ? r : image_modules_make(&m, e);
}

/* For a VM that has lost its own. */
static void keep_modules(struct image_set *s, const struct image *im, const char *stage)
{
    char from[PATH_MAX], to[PATH_MAX];
    path_printf(from, sizeof(from), "%s/modules.cpio", stage);
    image_path(s->host, im->key, "modules.cpio", to);
    if (rename(from, to) < 0)
        log_warn("image", "image=%s: its modules cannot be kept: %m", im->name);
}

/* What every launch's VM may run, as far as it goes quickly and works. */
static int warm_for_launches(struct image_set *s, struct image *im, struct vm *vm, struct err *e)
{
    const struct language *lang;
    int64_t until_ms = clock_mono_ms() + LAUNCH_HELLOS_MS;
    for (size_t i = 0; (lang = host_language(i)) && clock_mono_ms() < until_ms; i++) {
        struct program_wait wait = {.cancelled = is_stopping, .arg = s};
        struct err own = ERR_INIT;
        if (strcmp(lang->image, im->key) != 0 || lang->memory_mib > im->shape.memory_mib)
            continue;
        int r = program_hello(vm, lang, &wait, &own);
        if (r < 0 && own.class != ERR_INTERNAL) { /* not the program, but its machine */
            *e = own;
            return r;
        }
        if (r < 0)
            log_warn("image", "image=%s: %s", im->name, own.text);
    }
    return 0;
}

static int warm_up(struct image_set *s, struct image *im, struct vm *vm, struct err *e)
{
    struct program_wait wait = {.cancelled = is_stopping, .arg = s};
    image_set_state(s, im, LANGUAGE_PREPARING, "running its hello program for the first time");
    return im->lang ? program_hello(vm, im->lang, &wait, e) : warm_for_launches(s, im, vm, e);
}

/* Libraries reseed their random generators from the kernel's by the clock: OpenSSL's after an hour.
 * What waits has them seeded, the same in each clone; to a clone it shall be long ago. */
static int turn_back_clock(struct image_set *s, struct vm *vm, struct err *e)
{
    const struct guest_identity who = {.keep = true, .behind_s = 24 * 3600};
    struct link_wait w = {
        .deadline_ms = clock_mono_ms() + SYNC_TIMEOUT_MS, .cancelled = is_stopping, .arg = s};
    return guest_restored(vm->link, &w, &who, NULL, e);
}

/* An image without the runtime's hook or command, an older one, does as well: its programs run
 * cold. */
static int start_runtime(struct image_set *s, struct image *im, struct vm *vm, struct err *e)
{
    if (!im->lang || !image_has_runtime(s->host, im->lang))
        return 0;
    struct program_wait wait = {.cancelled = is_stopping, .arg = s};
    image_set_state(s, im, LANGUAGE_PREPARING, "starting the runtime that waits");
    int r = turn_back_clock(s, vm, e);
    if (r < 0)
        return r;
    r = program_prepare(vm, im->lang, &wait, e);
    if (r == 0 || (e->class != ERR_CONFLICT && e->class != ERR_INVALID))
        return r;
    log_warn("image", "image=%s language=%s: programs will run cold: %s", im->key, im->lang->name,
             e->text);
    return 0;
}

static int capture(struct image_set *s, struct image *im, struct vm *vm, const char *dir,
                   struct err *e)
{
    image_set_state(s, im, LANGUAGE_PREPARING, "being captured");
    int r = guest_sync(vm->link, clock_mono_ms() + SYNC_TIMEOUT_MS, e);
    if (r < 0)
        return r;
    vm_hang_up(vm);
    struct capture_times times = {0};
    r = engine_capture(s->host->engine, &vm->monitor, dir, CAPTURE_DURABLE, &times, e);
    if (r < 0)
        return r;
    vm_kernel_carry(vm->dir, dir);
    log_info("image", "image=%s captured template=%s total_ms=%lld dirty_pages=%llu", im->name,
             strrchr(dir, '/') + 1, (long long)times.total_us / 1000,
             (unsigned long long)times.dirty_pages);
    return 0;
}

static int boot(struct image_set *s, struct image *im, const char *stage, struct vm **ret,
                struct err *e)
{
    struct host *h = s->host;
    char rootfs[PATH_MAX];
    image_path(h, im->key, "rootfs.ext4", rootfs);
    image_set_state(s, im, LANGUAGE_PREPARING, "booting for the first time");
    struct vm_plan plan = {
        .image = im->key,
        .shape = im->shape,
        .rootfs = rootfs,
        .kernel_dir = *stage ? stage : NULL,
        .is_first_boot = true,
        .timeout_s = h->config->boot_timeout_s,
    };
    int64_t from_ms;
    int r;
    do {
        from_ms = clock_mono_ms();
        r = vm_start(h, &plan, ret, e);
    } while (r < 0 && e->class == ERR_FULL &&
             (pool_give_way(h->pool, NULL) || vm_pool_give_way(h->vm_pool)));
    if (r == 0)
        log_info("image", "image=%s booted total_ms=%lld", im->name,
                 (long long)(clock_mono_ms() - from_ms));
    return r;
}

/* An upload may have replaced a file while the image was booted from the former one, or somebody
 * has brought its template. */
static int check_unchanged(struct image_set *s, const struct image *im, const char *print,
                           struct err *e)
{
    auto_buf struct buf now = {0};
    {
        AUTO_LOCK(&s->lock);
        if (im->gone)
            return err_set(e, ERR_FULL, "another one has taken its place meanwhile");
    }
    int r = template_fingerprint(s, im, &now, e);
    if (r == 0 && strcmp(buf_str(&now), print) != 0)
        r = err_set(e, ERR_FULL, "its files were replaced meanwhile");
    return r;
}

/* Into `dir`; *stage is "" when the image has no kernel of its own. */
static int make_in(struct image_set *s, struct image *im, const char *stage, const char *dir,
                   struct err *e)
{
    struct vm *vm = NULL;
    int r = *stage ? stage_kernel(s, im, stage, e) : 0;
    if (r == 0)
        r = boot(s, im, stage, &vm, e);
    if (r < 0)
        return r;
    r = warm_up(s, im, vm, e);
    if (r == 0)
        r = start_runtime(s, im, vm, e);
    if (r == 0)
        r = capture(s, im, vm, dir, e);
    vm_end(s->host, vm);
    return r;
}

int template_make(struct image_set *s, struct image *im, const char *print, char *ret_dir,
                  struct err *e)
{
    char id[ID_SIZE], name[ID_SIZE + 16], dir[PATH_MAX / 4], stage[PATH_MAX] = "";
    id_new(id);
    if (path_printf(dir, sizeof(dir), "%s/templates/%s", s->host->config->data_dir, id) < 0)
        return err_set(e, ERR_INTERNAL, "data_dir is too long");
    path_printf(name, sizeof(name), ".prepare-%s", id); /* the next start removes what has a dot */
    if (im->is_uploaded)
        image_path(s->host, im->key, name, stage);
    int r = make_in(s, im, stage, dir, e);
    if (r == 0)
        r = check_unchanged(s, im, print, e);
    if (r == 0)
        r = template_publish(s, im, id, print, e);
    if (r == 0 && *stage)
        keep_modules(s, im, stage);
    if (*stage)
        dir_remove(stage);
    if (r < 0)
        dir_remove(dir);
    else
        strcpy(ret_dir, dir);
    return r;
}

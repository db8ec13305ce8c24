/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/extents.h"
#include "engine/qemu/pages.h"
#include "engine/qemu/qmp.h"

static int damaged(struct err *e, const char *what)
{
    return err_set(e, ERR_CONFLICT, "the template is damaged: %s", what);
}

/* What a file is for a person. */
static const char *part_of(const char *name)
{
    if (strcmp(name, MANIFEST_STATE) == 0)
        return "device state";
    return strncmp(name, "layer-", 6) == 0 ? "disk" : "memory";
}

/* The names of all files that such a template has, in the manifest's order. */
static void list_files(struct manifest *m)
{
    static const char *const names[] = {PAGES_MEMORY, PAGES_DELTA, PAGES_EXTENTS, MANIFEST_STATE};
    m->n_files = 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (m->delta || (i != 1 && i != 2))
            strcpy(m->files[m->n_files++].name, names[i]);
    for (int i = 0; i < m->chain.n; i++)
        layers_name(m->chain.number[i], m->files[m->n_files++].name);
}

/* --- parsing --- */

static int parse_file(json_t *json, struct manifest_file *ret)
{
    const char *name, *sum = "";
    json_int_t bytes, changed = 0;
    if (json_unpack(json, "{s:s s:I s?:I s?:s !}", "name", &name, "bytes", &bytes, "changed_ns",
                    &changed, "xxh3", &sum) < 0)
        return -EINVAL;
    if (bytes < 0 || strlen(name) >= sizeof(ret->name) || strlen(sum) >= sizeof(ret->sum.hex))
        return -EINVAL;
    *ret = (struct manifest_file){.bytes = (uint64_t)bytes, .changed_ns = changed};
    strcpy(ret->name, name);
    strcpy(ret->sum.hex, sum);
    return 0;
}

/* Reads the files' list; the names tell of memory and disk. */
static int parse_files(json_t *files, struct manifest *m)
{
    size_t i;
    json_t *json;
    struct manifest listed;
    if (!json_is_array(files) || json_array_size(files) > MANIFEST_FILES_MAX)
        return -EINVAL;
    json_array_foreach(files, i, json)
    {
        struct manifest_file *f = &m->files[i];
        int number;
        if (parse_file(json, f) < 0)
            return -EINVAL;
        m->delta = m->delta || strcmp(f->name, PAGES_DELTA) == 0;
        if (!layers_parse_name(f->name, &number))
            continue;
        if (m->chain.n > ENGINE_LAYERS_MAX ||
            (m->chain.n ? number <= layers_top(&m->chain) : number != 0))
            return -EINVAL;
        m->chain.number[m->chain.n++] = number;
    }
    m->n_files = (int)i;
    listed = *m;
    list_files(&listed);
    if (listed.n_files != m->n_files)
        return -EINVAL;
    for (int k = 0; k < m->n_files; k++)
        if (strcmp(listed.files[k].name, m->files[k].name) != 0)
            return -EINVAL;
    return 0;
}

static uint64_t bytes_of(const struct manifest *m, const char *name)
{
    for (int i = 0; i < m->n_files; i++)
        if (strcmp(m->files[i].name, name) == 0)
            return m->files[i].bytes;
    return 0;
}

static int check(const struct manifest *m, struct err *e)
{
    if (m->shape.vcpus < 1 || m->shape.vcpus > VM_VCPUS_MAX ||
        m->shape.memory_mib < VM_MEMORY_MIN_MIB || m->shape.memory_mib > VM_MEMORY_MAX_MIB)
        return damaged(e, "its machine has an impossible shape");
    uint64_t memory_bytes = (uint64_t)m->shape.memory_mib * MIB;
    if (bytes_of(m, PAGES_MEMORY) != memory_bytes ||
        (m->delta && bytes_of(m, PAGES_DELTA) != memory_bytes) ||
        bytes_of(m, PAGES_EXTENTS) > EXTENTS_MAX * sizeof(struct extent))
        return damaged(e, "its memory's size is not its machine's");
    if (m->chain.n < 2)
        return damaged(e, "it has an impossible number of disk layers");
    uint64_t state_bytes = bytes_of(m, MANIFEST_STATE);
    if (state_bytes == 0 || state_bytes > ENGINE_STATE_MAX_BYTES)
        return damaged(e, "its device state has an impossible size");
    return 0;
}

int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e)
{
    auto_json json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    struct manifest m = {0};
    int format;
    const char *engine, *version, *fingerprint;
    json_t *files;
    if (!root || json_unpack(root, "{s:i s:s}", "format", &format, "engine", &engine) < 0)
        return damaged(e, MANIFEST_FILE " cannot be read");
    if (format != MANIFEST_FORMAT || strcmp(engine, "qemu") != 0)
        return err_set(e, ERR_CONFLICT, "the template is of engine %.16s, format %d, not qemu, %d",
                       engine, format, MANIFEST_FORMAT);
    if (json_unpack(root, "{s:i s:s s:s s:s s:i s:i s:o !}", "format", &format, "engine", &engine,
                    "holm", &version, "fingerprint", &fingerprint, "vcpus", &m.shape.vcpus,
                    "memory_mib", &m.shape.memory_mib, "files", &files) < 0 ||
        parse_files(files, &m) < 0)
        return damaged(e, MANIFEST_FILE " cannot be read");
    if (path_printf(m.fingerprint, sizeof(m.fingerprint), "%s", fingerprint) < 0)
        return damaged(e, "its fingerprint is too long");
    int r = check(&m, e);
    if (r == 0)
        *ret = m;
    return r;
}

/* --- files --- */

static int measure(const char *dir, const char *name, char path[PATH_MAX],
                   struct manifest_file *ret, struct err *e)
{
    struct stat st;
    int r = path_printf(path, PATH_MAX, "%s/%s", dir, name);
    if (r == 0 && stat(path, &st) < 0)
        r = -errno;
    if (r == 0 && !S_ISREG(st.st_mode))
        r = -EINVAL;
    if (r < 0)
        return err_set(e, ERR_CONFLICT, "the template is damaged: %s: %s", name, strerror(-r));
    ret->bytes = (uint64_t)st.st_size;
    ret->changed_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    return 0;
}

static bool is_image(const struct manifest_file *f)
{
    int number;
    return layers_parse_name(f->name, &number) && number == 0;
}

static int verify(const char *dir, const struct manifest_file *f, struct sums *sums, struct err *e)
{
    char path[PATH_MAX];
    struct manifest_file now = {0};
    struct sum sum;
    int r = measure(dir, f->name, path, &now, e);
    if (r < 0)
        return r;
    if (now.bytes != f->bytes)
        return err_set(e, ERR_CONFLICT,
                       "the template is damaged: its %s is not as long as it was (%s)",
                       part_of(f->name), f->name);
    /* The image may be large, and is the one file that was there before Holm. */
    if (!*f->sum.hex || (is_image(f) && now.changed_ns == f->changed_ns))
        return 0;
    r = sums_of(sums, path, &sum);
    if (r < 0)
        return err_set(e, ERR_CONFLICT, "the template is damaged: %s: %s", f->name, strerror(-r));
    if (strcmp(sum.hex, f->sum.hex) != 0)
        return err_set(e, ERR_CONFLICT, "the template is damaged: its %s is not what it was (%s)",
                       part_of(f->name), f->name);
    return 0;
}

int manifest_load(const char *dir, const char *fingerprint, struct sums *sums, struct manifest *ret,
                  struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf b = {0};
    int r = path_printf(path, sizeof(path), "%s/" MANIFEST_FILE, dir);
    if (r == 0)
        r = file_read(path, &b, MANIFEST_MAX_BYTES);
    if (r == -ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there is no template in %s", dir);
    if (r < 0)
        return err_errno(e, r, "read %s", path);
    struct manifest m;
    r = manifest_parse(buf_str(&b), b.len, &m, e);
    if (r == 0 && strcmp(m.fingerprint, fingerprint) != 0)
        r = err_set(e, ERR_CONFLICT, "the template was made by \"%s\", this is \"%s\"",
                    m.fingerprint, fingerprint);
    for (int i = 0; r == 0 && i < m.n_files; i++)
        r = verify(dir, &m.files[i], sums, e);
    if (r == 0)
        *ret = m;
    return r;
}

/* Makes sure that a file is on the disk and takes its sum. One whose sum is known was synced when
 * that was taken, or has been read from the disk. */
static int secure(const char *path, struct sums *sums, struct manifest_file *f, struct err *e)
{
    if (!sums_know(sums, path)) {
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
            return err_errno(e, -errno, "sync %s", path);
    }
    int r = sums_of(sums, path, &f->sum);
    return r < 0 ? err_errno(e, r, "read %s", path) : 0;
}

static json_t *file_json(const struct manifest_file *f)
{
    return json_pack("{s:s s:I s:o* s:s*}", "name", f->name, "bytes", (json_int_t)f->bytes,
                     "changed_ns", is_image(f) ? json_integer(f->changed_ns) : NULL, "xxh3",
                     *f->sum.hex ? f->sum.hex : NULL);
}

static char *to_text(const struct manifest *m)
{
    auto_json json_t *files = json_array();
    for (int i = 0; i < m->n_files; i++)
        if (json_array_append_new(files, file_json(&m->files[i])) < 0)
            return NULL;
    auto_json json_t *root =
        json_pack("{s:i s:s s:s s:s s:i s:i s:O}", "format", MANIFEST_FORMAT, "engine", "qemu",
                  "holm", HOLM_VERSION, "fingerprint", m->fingerprint, "vcpus", m->shape.vcpus,
                  "memory_mib", m->shape.memory_mib, "files", files);
    return root ? json_dumps(root, JSON_INDENT(2)) : NULL;
}

static int write_text(const char *path, const char *text, bool durable)
{
    if (durable)
        return file_write_atomic(path, text, strlen(text), 0444);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

int manifest_store(const char *dir, struct sums *sums, struct manifest *m, struct err *e)
{
    char path[PATH_MAX];
    int r = 0;
    list_files(m);
    for (int i = 0; r == 0 && i < m->n_files; i++) {
        r = measure(dir, m->files[i].name, path, &m->files[i], e);
        if (r == 0 && sums)
            r = secure(path, sums, &m->files[i], e);
    }
    if (r < 0)
        return r;
    auto_free char *text = to_text(m);
    r = text ? path_printf(path, sizeof(path), "%s/" MANIFEST_FILE, dir) : -ENOMEM;
    if (r == 0)
        r = write_text(path, text, sums != NULL);
    return r < 0 ? err_errno(e, r, "write %s/" MANIFEST_FILE, dir) : 0;
}

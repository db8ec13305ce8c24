/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_modules.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/cpio.h"
#include "host/host_priv.h"
#include "host/image_check.h"
#include "host/image_reader.h"

#define IMAGE_MODULE_NAME_SIZE 56

/* --- choosing --- */

/* Names as the kernel spells them, '_' for '-'. An optional one makes the guest better: checksums
 * of old ext4 modules, random numbers, its network. */
static const struct {
    const char *name;
    bool is_needed;
} wanted[] = {
    {"virtio_pci", true}, {"virtio_blk", true}, {"virtio_console", true}, {"crc32c_generic", false},
    {"ext4", true},       {"rng_core", false},  {"virtio_rng", false},    {"virtio_net", false},
};

struct packer {
    const struct image_module_source *src;
    struct buf *archive;
    char seen[IMAGE_MODULES_MAX][IMAGE_MODULE_NAME_SIZE];
    size_t n_seen, n_packed;
    size_t bytes; /* read; those that wait for what they need are all in memory */
};

static char plain(char c)
{
    return c == '-' ? '_' : c;
}

/* Whether a path's last part is this module: "kernel/drivers/virtio/virtio-rng.ko.xz". */
static bool is_module(const char *path, size_t len, const char *name)
{
    const char *slash = memrchr(path, '/', len);
    const char *p = slash ? slash + 1 : path, *end = path + len;
    while (*name && p < end && plain(*p) == plain(*name)) {
        p++;
        name++;
    }
    return !*name && end - p >= 3 && memcmp(p, ".ko", 3) == 0 && (end - p == 3 || p[3] == '.');
}

/* Nothing that a command line or a path could trip over. */
static bool path_ok(const char *path, size_t len)
{
    if (len == 0 || len >= IMAGE_MODULE_PATH_SIZE || path[0] == '/' || path[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        bool fine = (path[i] >= 'a' && path[i] <= 'z') || (path[i] >= 'A' && path[i] <= 'Z') ||
                    (path[i] >= '0' && path[i] <= '9') || strchr("/._-+", path[i]);
        if (!fine || (path[i] == '.' && i + 1 < len && path[i + 1] == '.'))
            return false;
    }
    return true;
}

/* The path of a module; false: it is not in the list. */
static bool find_path(const char *list, const char *name, char ret[IMAGE_MODULE_PATH_SIZE])
{
    for (const char *line = list; *line;) {
        size_t len = strcspn(line, ":\n");
        if (is_module(line, len, name) && path_ok(line, len)) {
            memcpy(ret, line, len);
            ret[len] = '\0';
            return true;
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return false;
}

/* --- packing --- */

/* NN-NAME.ko: the order of names is that of loading; the agent looks at the end of the name. */
static int pack(struct buf *archive, size_t number, const char *path, const struct buf *module)
{
    char name[96];
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strstr(base, ".ko");
    snprintf(name, sizeof(name), "modules/%02zu-%.*s.ko", number,
             dot && dot - base < IMAGE_MODULE_NAME_SIZE ? (int)(dot - base)
                                                        : IMAGE_MODULE_NAME_SIZE,
             base);
    return cpio_add(archive, name, 0644, buf_str(module), module->len);
}

/* The value of "depends=" in its .modinfo, a list of NUL-ended texts; bounded by the module. */
static const char *depends_of(const struct buf *module, size_t *ret_len)
{
    static const char key[] = "\0depends=";
    const size_t key_len = sizeof(key) - 1;
    const char *data = buf_str(module);
    const char *at = memmem(data, module->len, key, key_len);
    *ret_len = 0;
    if (!at)
        return "";
    at += key_len;
    *ret_len = strnlen(at, (size_t)(data + module->len - at));
    return at;
}

static bool has_seen(struct packer *p, const char *name)
{
    for (size_t i = 0; i < p->n_seen; i++) {
        if (strcmp(p->seen[i], name) == 0)
            return true;
    }
    return false;
}

static int too_much(struct err *e)
{
    return err_set(e, ERR_INVALID, "its modules have more than %llu MiB",
                   IMAGE_MODULES_MAX_BYTES / MIB);
}

/* Appends what the file has; an error when it has nothing. */
static int read_one(struct packer *p, const char *path, struct buf *module, struct err *e)
{
    int r = p->src->read(p->src->arg, path, module, e);
    if (r < 0)
        return r;
    if (module->len == 0)
        return err_set(e, ERR_INVALID, "its module %.100s is not there, or cannot be unpacked",
                       path);
    p->bytes += module->len;
    return p->bytes > IMAGE_MODULES_MAX_BYTES ? too_much(e) : 0;
}

static int visit(struct packer *p, const char *name, bool *ret_found, struct err *e);

static int visit_needed(struct packer *p, const struct buf *module, struct err *e)
{
    size_t len;
    const char *list = depends_of(module, &len), *end = list + len;
    for (int r; list < end; list++) {
        char name[IMAGE_MODULE_NAME_SIZE];
        size_t n = 0;
        bool found;
        for (; list < end && *list != ','; list++)
            if (n + 1 < sizeof(name))
                name[n++] = plain(*list);
        name[n] = '\0';
        r = n ? visit(p, name, &found, e) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* What it needs, then itself. Each is seen once: there can be no circle. */
static int visit(struct packer *p, const char *name, bool *ret_found, struct err *e)
{
    char path[IMAGE_MODULE_PATH_SIZE];
    auto_buf struct buf module = {.max_bytes = IMAGE_MODULE_MAX_BYTES};
    *ret_found = true;
    if (has_seen(p, name))
        return 0;
    *ret_found = find_path(p->src->paths, name, path);
    if (!*ret_found)
        return 0;
    if (p->n_seen == IMAGE_MODULES_MAX)
        return err_set(e, ERR_INVALID, "its modules need more than %d others", IMAGE_MODULES_MAX);
    snprintf(p->seen[p->n_seen++], IMAGE_MODULE_NAME_SIZE, "%s", name);
    int r = read_one(p, path, &module, e);
    if (r == 0)
        r = visit_needed(p, &module, e);
    return r == 0 && pack(p->archive, p->n_packed++, path, &module) < 0 ? too_much(e) : r;
}

int image_modules_pack(const struct image_module_source *src, struct buf *archive,
                       size_t *ret_count, struct err *e)
{
    char path[IMAGE_MODULE_PATH_SIZE];
    auto_free struct packer *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(e, -ENOMEM, "pack modules");
    p->src = src;
    p->archive = archive;
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        bool found;
        int r = visit(p, wanted[i].name, &found, e);
        if (r < 0)
            return r;
        if (!found && wanted[i].is_needed && *src->builtin &&
            !find_path(src->builtin, wanted[i].name, path))
            return err_set(e, ERR_INVALID,
                           "its kernel has no %s, neither built in nor as a module: a VM cannot be "
                           "without",
                           wanted[i].name);
    }
    *ret_count = p->n_packed;
    return 0;
}

/* Those that Holm's own kernel came with, as they are. */
static int pack_own(const struct host *h, struct buf *archive, struct err *e)
{
    char dir[PATH_MAX], path[PATH_MAX];
    struct dirent **names = NULL;
    path_printf(dir, sizeof(dir), "%s/kernel/modules", h->config->data_dir);
    int n = scandir(dir, &names, NULL, alphasort), r = n < 0 ? -errno : 0;
    for (int i = 0; i < n; i++) {
        auto_buf struct buf module = {0};
        const char *name = names[i]->d_name;
        size_t len = strlen(name);
        if (r == 0 && len > 6 && strcmp(name + len - 3, ".ko") == 0) {
            r = path_printf(path, sizeof(path), "%s/%s", dir, name);
            r = r < 0 ? r : file_read(path, &module, IMAGE_MODULE_MAX_BYTES);
            r = r < 0 ? r : pack(archive, (size_t)i, name + 3, &module);
        }
        free(names[i]);
    }
    free(names);
    return r < 0 ? err_errno(e, r, "read the modules of Holm's kernel") : 0;
}

struct files {
    struct image_reader reader;
    char top[128]; /* /lib/modules/RELEASE */
};

/* In modules.order names are those of before they were packed. */
static int read_module(void *arg, const char *path, struct buf *ret, struct err *e)
{
    static const char *const suffixes[] = {"", ".xz", ".zst", ".gz"};
    struct files *f = arg;
    int r = 0;
    for (size_t i = 0; r == 0 && ret->len == 0 && i < ARRAY_SIZE(suffixes); i++) {
        char whole[2 * IMAGE_MODULE_PATH_SIZE];
        path_printf(whole, sizeof(whole), "%s/%s%s", f->top, path, suffixes[i]);
        r = image_reader_unpack(&f->reader, whole, ret, e);
    }
    return r;
}

/* modules.dep is made when modules are installed; modules.order comes with the kernel's package.
 * /lib is a link on a merged system; debugfs follows links on the way, but one that leads nowhere
 * must not hide the other. */
static int read_tables(struct files *f, const char *release, struct buf *paths, struct buf *builtin,
                       struct err *e)
{
    static const char *const tops[] = {"/lib/modules", "/usr/lib/modules"};
    static const char *const names[] = {"modules.dep", "modules.order"};
    char path[160];
    int r = 0;
    for (size_t i = 0; r == 0 && paths->len == 0 && i < ARRAY_SIZE(tops); i++) {
        path_printf(f->top, sizeof(f->top), "%s/%s", tops[i], release);
        for (size_t k = 0; r == 0 && paths->len == 0 && k < ARRAY_SIZE(names); k++) {
            path_printf(path, sizeof(path), "%s/%s", f->top, names[k]);
            r = image_reader_cat(&f->reader, path, paths, e);
        }
    }
    path_printf(path, sizeof(path), "%s/modules.builtin", f->top);
    return r == 0 && paths->len ? image_reader_cat(&f->reader, path, builtin, e) : r;
}

/* The one that is there, when there is just one. */
static int guess_release(struct image_reader *rd, char ret[IMAGE_RELEASE_SIZE], struct err *e)
{
    auto_buf struct buf list = {.max_bytes = IMAGE_TABLE_MAX_BYTES};
    int r = image_reader_list(rd, "/lib/modules", &list, e);
    if (r == 0 && list.len == 0)
        r = image_reader_list(rd, "/usr/lib/modules", &list, e);
    const char *line = buf_str(&list);
    size_t len = strcspn(line, "\n");
    if (r == 0 && path_ok(line, len) && len < IMAGE_RELEASE_SIZE && !line[len + (line[len] != 0)])
        snprintf(ret, IMAGE_RELEASE_SIZE, "%.*s", (int)len, line);
    return r;
}

static void close_files(struct files *f)
{
    image_reader_close(&f->reader);
}

static int pack_foreign(const struct image_modules *m, struct buf *archive, struct err *e)
{
    CLEANUP(close_files) struct files f = {0};
    auto_buf struct buf paths = {.max_bytes = IMAGE_TABLE_MAX_BYTES};
    auto_buf struct buf builtin = {.max_bytes = IMAGE_TABLE_MAX_BYTES};
    char release[IMAGE_RELEASE_SIZE];
    size_t count = 0;
    snprintf(release, sizeof(release), "%s", m->release);
    int r = image_reader_open(&f.reader, m->host, m->dir, e);
    if (r == 0 && !*release)
        r = guess_release(&f.reader, release, e);
    if (r < 0 || !*release)
        return r;
    r = read_tables(&f, release, &paths, &builtin, e);
    if (r < 0 || !paths.len)
        return r;
    struct image_module_source src = {
        .paths = buf_str(&paths), .builtin = buf_str(&builtin), .read = read_module, .arg = &f};
    r = image_modules_pack(&src, archive, &count, e);
    if (r == 0)
        log_info("image", "release=%s modules=%zu taken from %s", release, count, m->dir);
    return r;
}

static bool is_own_release(const struct host *h, const char *release)
{
    char path[PATH_MAX];
    auto_buf struct buf own = {0};
    path_printf(path, sizeof(path), "%s/kernel/version", h->config->data_dir);
    if (!*release || file_read(path, &own, 256) < 0)
        return false;
    size_t len = strcspn(buf_str(&own), "\n");
    return len == strlen(release) && memcmp(buf_str(&own), release, len) == 0;
}

int image_modules_make(const struct image_modules *m, struct err *e)
{
    auto_buf struct buf archive = {.max_bytes = IMAGE_MODULES_MAX_BYTES};
    char path[PATH_MAX];
    int r = is_own_release(m->host, m->release) ? pack_own(m->host, &archive, e)
                                                : pack_foreign(m, &archive, e);
    if (r < 0)
        return r;
    r = cpio_end(&archive);
    if (r == 0)
        r = path_printf(path, sizeof(path), "%s/modules.cpio", m->to);
    if (r == 0)
        r = file_write_atomic(path, buf_str(&archive), archive.len, 0400);
    return r < 0 ? err_errno(e, r, "write the kernel's modules") : 0;
}

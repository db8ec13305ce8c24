/* SPDX-License-Identifier: Apache-2.0 */

/* A record is a packed text (pack.h) that begins with its kind. */

#include "engine/fake/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/fake/bounds.h"
#include "engine/fake/pack.h"

#define BASE_NAME "disk.base"
#define LOG_NAME "disk.log"
#define DEVICE_MAX_BYTES INT64_C(0x4000000000000000)

static const char magic[8] = "HOLMFD2\n";

enum record { RECORD_SHAPE = 'S', RECORD_PUT = 'F', RECORD_REMOVE = 'R' };

/* --- records --- */

static void encode_shape(const struct disk_shape *s, struct buf *out)
{
    pack_u32(out, RECORD_SHAPE);
    pack_i64(out, s->device_bytes);
    pack_i64(out, s->fs_bytes);
    pack_i64(out, s->layers);
}

static void encode_put(const struct file *file, struct buf *out)
{
    pack_u32(out, RECORD_PUT);
    pack_str(out, file->path);
    pack_i64(out, file->attr.type);
    pack_i64(out, file->attr.mode);
    pack_i64(out, file->attr.uid);
    pack_i64(out, file->attr.gid);
    pack_i64(out, file->attr.mtime_ms);
    pack_bytes(out, file->content->data, file->content->len);
}

static int append_record(struct buf *out, const struct buf *record)
{
    pack_bytes(out, record->data, record->len);
    return out->failed || record->failed ? -ENOMEM : 0;
}

static int apply_shape(struct disk_shape *s, struct unpack *u)
{
    struct disk_shape shape = {.device_bytes = unpack_range(u, 0, DEVICE_MAX_BYTES)};
    shape.fs_bytes = unpack_range(u, 0, shape.device_bytes);
    shape.layers = unpack_range(u, 1, ENGINE_LAYERS_MAX);
    if (u->failed || u->left)
        return -EINVAL;
    *s = shape;
    return 0;
}

/* A path as files_resolve makes them, but not "/". */
static int take_path(struct unpack *u, char ret[AGENT_PATH_MAX_BYTES])
{
    char text[AGENT_PATH_MAX_BYTES];
    unpack_str(u, text, sizeof(text));
    if (u->failed || files_resolve(NULL, text, ret, AGENT_PATH_MAX_BYTES) < 0)
        return -EINVAL;
    return strcmp(text, ret) == 0 && ret[1] ? 0 : -EINVAL;
}

static int apply_put(struct files *f, struct unpack *u)
{
    char path[AGENT_PATH_MAX_BYTES];
    size_t len;
    if (take_path(u, path) < 0)
        return -EINVAL;
    struct file_attr attr = {
        .type = (enum file_type)unpack_range(u, 0, FILE_TYPE_COUNT - 1),
        .mode = (unsigned)unpack_range(u, 0, 07777),
        .uid = (uint32_t)unpack_range(u, 0, UINT32_MAX - 1),
        .gid = (uint32_t)unpack_range(u, 0, UINT32_MAX - 1),
        .mtime_ms = unpack_i64(u),
    };
    const char *data = unpack_bytes(u, &len);
    if (u->failed || u->left || (attr.type == FILE_DIR && len))
        return -EINVAL;
    return files_put(f, path, &attr, data, len);
}

static int apply_remove(struct files *f, struct unpack *u)
{
    char path[AGENT_PATH_MAX_BYTES];
    if (take_path(u, path) < 0 || u->left)
        return -EINVAL;
    return files_remove(f, path);
}

/* A log that is replayed over a base which has it already meets files and directories of later. */
static bool is_of_later(int r)
{
    return r == -EISDIR || r == -ENOTDIR || r == -ENOENT;
}

static int apply(struct disk_shape *s, struct files *f, const char *record, size_t len)
{
    struct unpack u = {.at = (const uint8_t *)record, .left = len};
    switch (unpack_u32(&u)) {
    case RECORD_SHAPE:
        return apply_shape(s, &u);
    case RECORD_PUT:
        return apply_put(f, &u);
    case RECORD_REMOVE:
        return apply_remove(f, &u);
    default:
        return -EINVAL;
    }
}

/* --- the file of a template --- */

int disk_save(const struct disk_shape *shape, const struct files *f, struct buf *out)
{
    auto_buf struct buf record = {0};
    buf_append(out, magic, sizeof(magic));
    encode_shape(shape, &record);
    int r = append_record(out, &record);
    for (size_t i = 0; r == 0 && i < f->n; i++) {
        buf_clear(&record);
        encode_put(&f->list[i], &record);
        r = append_record(out, &record);
    }
    return r;
}

int disk_load(struct disk_shape *shape, struct files *f, const struct buf *data, struct err *e)
{
    struct unpack u = {.at = (const uint8_t *)buf_str(data), .left = data->len};
    struct disk_shape s = {0};
    size_t len;
    int r = u.left >= sizeof(magic) && memcmp(u.at, magic, sizeof(magic)) == 0 ? 0 : -EINVAL;
    if (r == 0) {
        u.at += sizeof(magic);
        u.left -= sizeof(magic);
    }
    while (r == 0 && u.left) {
        const char *record = unpack_bytes(&u, &len);
        r = record ? apply(&s, f, record, len) : -EINVAL;
    }
    if (r == 0 && s.layers) {
        *shape = s;
        return 0;
    }
    files_done(f);
    if (r == -ENOMEM)
        return err_errno(e, r, "load the disk");
    return err_set(e, ERR_INVALID, "the saved disk is damaged");
}

/* --- the log --- */

static int note(struct disk *d, const struct buf *record)
{
    auto_buf struct buf framed = {0};
    if (append_record(&framed, record) < 0)
        return -ENOMEM;
    ssize_t n = write(d->log_fd, framed.data, framed.len);
    if (n == (ssize_t)framed.len) {
        d->log_bytes += framed.len;
        return 0;
    }
    int r = n < 0 ? -errno : -ENOSPC;
    (void)!ftruncate(d->log_fd, (off_t)d->log_bytes);
    return r;
}

int disk_note_put(struct disk *d, const struct file *file)
{
    auto_buf struct buf record = {0};
    if (!d->dir[0])
        return 0;
    encode_put(file, &record);
    return note(d, &record);
}

int disk_note_remove(struct disk *d, const char *path)
{
    auto_buf struct buf record = {0};
    if (!d->dir[0])
        return 0;
    pack_u32(&record, RECORD_REMOVE);
    pack_str(&record, path);
    return note(d, &record);
}

int disk_reshape(struct disk *d, const struct disk_shape *shape)
{
    auto_buf struct buf record = {0};
    encode_shape(shape, &record);
    int r = d->dir[0] ? note(d, &record) : 0;
    if (r == 0)
        d->shape = *shape;
    return r;
}

static int path_in(const char *dir, const char *name, char ret[PATH_MAX])
{
    return path_printf(ret, PATH_MAX, "%s/%s", dir, name);
}

/* Appending, so that a record is written whole or not at all whatever comes between. */
static int open_log(struct disk *d, const char *vm_dir, int flags)
{
    char path[PATH_MAX];
    int r = path_printf(d->dir, sizeof(d->dir), "%s", vm_dir);
    r = r < 0 ? r : path_in(vm_dir, LOG_NAME, path);
    if (r < 0)
        return r;
    d->log_fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (d->log_fd < 0) {
        d->dir[0] = '\0';
        return -errno;
    }
    struct stat st;
    d->log_bytes = fstat(d->log_fd, &st) == 0 ? (size_t)st.st_size : 0;
    return 0;
}

void disk_done(struct disk *d)
{
    if (d->dir[0])
        close(d->log_fd);
    *d = (struct disk){.shape = d->shape};
}

/* --- making and opening --- */

static int remove_base(const char *vm_dir)
{
    char path[PATH_MAX];
    int r = path_in(vm_dir, BASE_NAME, path);
    return r < 0 ? r : unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int disk_create(struct disk *d, const char *vm_dir, struct files *f, struct err *e)
{
    int r = open_log(d, vm_dir, O_CREAT | O_TRUNC);
    r = r < 0 ? r : remove_base(vm_dir);
    r = r < 0 ? r : disk_reshape(d, &d->shape);
    if (r < 0)
        return err_errno(e, r, "make the disk in %s", vm_dir);
    f->disk = d;
    return 0;
}

/* Everything in the log becomes part of a new base. Killed in between, the log is replayed over a
 * base that has it already, which changes nothing. */
int disk_compact(struct disk *d, const struct files *f)
{
    char path[PATH_MAX];
    auto_buf struct buf data = {.max_bytes = FAKE_DISK_MAX_BYTES};
    if (!d->dir[0])
        return 0;
    int r = path_in(d->dir, BASE_NAME, path);
    r = r < 0 ? r : disk_save(&d->shape, f, &data);
    r = r < 0 ? r : file_write_atomic(path, data.data, data.len, 0600);
    if (r < 0)
        return r;
    if (ftruncate(d->log_fd, 0) < 0)
        return -errno;
    d->log_bytes = 0;
    return 0;
}

static int replay(struct disk *d, struct files *f, const struct buf *log)
{
    struct unpack u = {.at = (const uint8_t *)buf_str(log), .left = log->len};
    size_t len;
    const char *record;
    while (u.left && (record = unpack_bytes(&u, &len))) {
        int r = apply(&d->shape, f, record, len);
        if (r < 0 && !is_of_later(r))
            return r;
    }
    return 0;
}

static int load_base(struct disk *d, struct files *f, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf data = {0};
    int r = path_in(d->dir, BASE_NAME, path);
    r = r < 0 ? r : file_read(path, &data, FAKE_DISK_MAX_BYTES);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return err_errno(e, r, "read %s", path);
    r = disk_load(&d->shape, f, &data, e);
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int disk_open(struct disk *d, const char *vm_dir, struct files *f, struct err *e)
{
    auto_buf struct buf log = {0};
    int r = open_log(d, vm_dir, 0);
    if (r == -ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there is no disk in %s", vm_dir);
    if (r < 0)
        return err_errno(e, r, "open the disk in %s", vm_dir);
    r = load_base(d, f, e);
    if (r < 0)
        return r;
    r = fd_slurp(d->log_fd, &log, 2 * FAKE_DISK_LOG_MAX_BYTES);
    r = r < 0 ? r : replay(d, f, &log);
    if (r == 0 && d->shape.layers == 0)
        r = -EINVAL; /* neither of the two had begun with a shape */
    r = r < 0 ? r : disk_compact(d, f);
    if (r < 0)
        return err_errno(e, r, "load the disk in %s", vm_dir);
    f->disk = d;
    return 0;
}

/* By rename, so that a base is never half there. A copy where a link cannot be. */
static int link_base(const char *from, const char *to)
{
    char temp[PATH_MAX];
    int r = path_printf(temp, sizeof(temp), "%s.new", to);
    if (r < 0)
        return r;
    unlink(temp);
    r = link(from, temp) < 0 ? -errno : 0;
    if (r == -EXDEV || r == -EPERM || r == -EMLINK)
        r = file_copy(from, temp, 0600);
    if (r == 0 && rename(temp, to) < 0)
        r = -errno;
    return r;
}

int disk_clone(struct disk *d, const char *vm_dir, const char *template_dir, struct files *f,
               struct err *e)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = path_in(template_dir, "disk", from);
    r = r < 0 ? r : path_in(vm_dir, BASE_NAME, to);
    r = r < 0 ? r : open_log(d, vm_dir, O_CREAT | O_TRUNC);
    r = r < 0 ? r : link_base(from, to);
    if (r < 0)
        return err_errno(e, r, "clone %s/disk", template_dir);
    r = load_base(d, f, e);
    if (r < 0)
        return r;
    struct disk_shape shape = d->shape;
    shape.layers += shape.layers < ENGINE_LAYERS_MAX;
    r = disk_reshape(d, &shape);
    if (r < 0)
        return err_errno(e, r, "clone %s/disk", template_dir);
    f->disk = d;
    return 0;
}

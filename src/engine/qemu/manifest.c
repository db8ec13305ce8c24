/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/layers.h"

/* A bad sector or a half-written file is what this must notice, not an attacker: templates are
 * root's own. CRC-32 (the one of Ethernet and zip), a nibble at a time: no table to set up, and a
 * device state is but 150 KB. */
static uint32_t crc32_of(const char *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        c ^= (unsigned char)data[i];
        c = c >> 4 ^ table[c & 15];
        c = c >> 4 ^ table[c & 15];
    }
    return ~c;
}

static int damaged(struct err *e, const char *what)
{
    return err_set(e, ERR_CONFLICT, "the template is damaged: %s", what);
}

static int file_bytes(const char *dir, const char *name, uint64_t *ret, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    if (r == 0 && stat(path, &st) < 0)
        r = -errno;
    if (r == 0 && !S_ISREG(st.st_mode))
        r = -EINVAL;
    if (r < 0)
        return err_set(e, ERR_CONFLICT, "the template is damaged: %s: %s", name, strerror(-r));
    *ret = (uint64_t)st.st_size;
    return 0;
}

static int layer_bytes(const char *dir, int depth, uint64_t *ret, struct err *e)
{
    char path[PATH_MAX];
    int r = layers_path(dir, depth, path, e);
    return r < 0 ? r : file_bytes(dir, strrchr(path, '/') + 1, ret, e);
}

static int state_crc32(const char *dir, uint32_t *ret, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf b = {0};
    int r = path_printf(path, sizeof(path), "%s/" MANIFEST_STATE, dir);
    if (r == 0)
        r = file_read(path, &b, ENGINE_STATE_MAX_BYTES);
    if (r < 0)
        return err_set(e, ERR_CONFLICT, "the template is damaged: device state: %s", strerror(-r));
    *ret = crc32_of(buf_str(&b), b.len);
    return 0;
}

/* The fields of the file, as one format string for both directions. */
#define FIELDS "{s:i s:s s:s s:i s:i s:i s:I s:I s:I s:I s:I}"
#define UNPACK_FIELDS "{s:i s:s s:s s:i s:i s:i s:I s:I s:I s:I s:I !}"

static int check(const struct manifest *m, int format, const char *engine, struct err *e)
{
    if (format != MANIFEST_FORMAT || strcmp(engine, "qemu") != 0)
        return err_set(e, ERR_CONFLICT, "the template is of engine %.16s, format %d, not qemu, %d",
                       engine, format, MANIFEST_FORMAT);
    if (m->shape.vcpus < 1 || m->shape.vcpus > VM_VCPUS_MAX ||
        m->shape.memory_mib < VM_MEMORY_MIN_MIB || m->shape.memory_mib > VM_MEMORY_MAX_MIB)
        return damaged(e, "its machine has an impossible shape");
    if (m->memory_bytes != (uint64_t)m->shape.memory_mib * MIB)
        return damaged(e, "its memory's size is not its machine's");
    if (m->top_layer < 1 || m->top_layer > ENGINE_LAYERS_MAX)
        return damaged(e, "it has an impossible number of disk layers");
    if (m->state_bytes == 0 || m->state_bytes > ENGINE_STATE_MAX_BYTES)
        return damaged(e, "its device state has an impossible size");
    return 0;
}

int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e)
{
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    struct manifest m = {0};
    int format;
    const char *engine, *fingerprint;
    json_int_t memory, state, crc, disk, top;
    int r =
        root ? json_unpack(root, UNPACK_FIELDS, "format", &format, "engine", &engine, "fingerprint",
                           &fingerprint, "vcpus", &m.shape.vcpus, "memory_mib", &m.shape.memory_mib,
                           "top_layer", &m.top_layer, "memory_bytes", &memory, "state_bytes",
                           &state, "state_crc32", &crc, "disk_bytes", &disk, "top_bytes", &top)
             : -1;
    if (r < 0 || memory < 0 || state < 0 || crc < 0 || crc > UINT32_MAX || disk < 0 || top < 0) {
        json_decref(root);
        return damaged(e, MANIFEST_FILE " cannot be read");
    }
    m.memory_bytes = (uint64_t)memory;
    m.state_bytes = (uint64_t)state;
    m.state_crc32 = (uint32_t)crc;
    m.disk_bytes = (uint64_t)disk;
    m.top_bytes = (uint64_t)top;
    r = check(&m, format, engine, e);
    if (r == 0 && path_printf(m.fingerprint, sizeof(m.fingerprint), "%s", fingerprint) < 0)
        r = damaged(e, "its fingerprint is too long");
    json_decref(root);
    if (r == 0)
        *ret = m;
    return r;
}

/* Compares the sizes of the files with the manifest's. */
static int check_files(const char *dir, const struct manifest *m, struct err *e)
{
    uint64_t memory, state, disk, top, between;
    int r = file_bytes(dir, MANIFEST_MEMORY, &memory, e);
    if (r == 0)
        r = file_bytes(dir, MANIFEST_STATE, &state, e);
    if (r == 0)
        r = layer_bytes(dir, 0, &disk, e);
    if (r == 0)
        r = layer_bytes(dir, m->top_layer, &top, e);
    for (int i = 1; r == 0 && i < m->top_layer; i++)
        r = layer_bytes(dir, i, &between, e);
    if (r < 0)
        return r;
    if (memory != m->memory_bytes)
        return damaged(e, "its memory is not as long as it was");
    if (state != m->state_bytes)
        return damaged(e, "its device state is not as long as it was");
    if (disk != m->disk_bytes || top != m->top_bytes)
        return damaged(e, "its disk is not as long as it was");
    return 0;
}

int manifest_load(const char *dir, const char *fingerprint, struct manifest *ret, struct err *e)
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
    if (r == 0)
        r = check_files(dir, &m, e);
    uint32_t crc = 0;
    if (r == 0)
        r = state_crc32(dir, &crc, e);
    if (r == 0 && crc != m.state_crc32)
        r = damaged(e, "its device state is not what it was");
    if (r == 0)
        *ret = m;
    return r;
}

int manifest_store(const char *dir, struct manifest *m, struct err *e)
{
    int r = file_bytes(dir, MANIFEST_MEMORY, &m->memory_bytes, e);
    if (r == 0)
        r = file_bytes(dir, MANIFEST_STATE, &m->state_bytes, e);
    if (r == 0)
        r = state_crc32(dir, &m->state_crc32, e);
    if (r == 0)
        r = layer_bytes(dir, 0, &m->disk_bytes, e);
    if (r == 0)
        r = layer_bytes(dir, m->top_layer, &m->top_bytes, e);
    if (r < 0)
        return r;
    json_t *root = json_pack(FIELDS, "format", MANIFEST_FORMAT, "engine", "qemu", "fingerprint",
                             m->fingerprint, "vcpus", m->shape.vcpus, "memory_mib",
                             m->shape.memory_mib, "top_layer", m->top_layer, "memory_bytes",
                             (json_int_t)m->memory_bytes, "state_bytes", (json_int_t)m->state_bytes,
                             "state_crc32", (json_int_t)m->state_crc32, "disk_bytes",
                             (json_int_t)m->disk_bytes, "top_bytes", (json_int_t)m->top_bytes);
    auto_free char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    char path[PATH_MAX];
    r = text ? path_printf(path, sizeof(path), "%s/" MANIFEST_FILE, dir) : -ENOMEM;
    if (r == 0)
        r = file_write_atomic(path, text, strlen(text), 0444);
    return r < 0 ? err_errno(e, r, "write %s/" MANIFEST_FILE, dir) : 0;
}

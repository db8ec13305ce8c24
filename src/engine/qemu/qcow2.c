/* SPDX-License-Identifier: Apache-2.0 */

/* Layout of an empty overlay, in clusters: 0 header with its extension and the backing file's name;
 * 1 refcount table, one entry; 2 refcount block, one 16-bit count a cluster; 3... L1 table. QEMU
 * appends the rest. All numbers are big-endian. */

#include "engine/qemu/qcow2.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define CLUSTER_BITS 16
#define CLUSTER_BYTES (1u << CLUSTER_BITS)
#define L1_ENTRY_COVERS_BYTES ((uint64_t)CLUSTER_BYTES * (CLUSTER_BYTES / 8))
#define EXTENSION_BACKING_FORMAT 0xe2792acau
#define BACKING_NAME_AT 512
#define MAGIC 0x514649fbu

struct header {
    uint32_t magic;
    uint32_t version;
    uint64_t backing_at;
    uint32_t backing_len;
    uint32_t cluster_bits;
    uint64_t disk_bytes;
    uint32_t crypt_method;
    uint32_t l1_entries;
    uint64_t l1_at;
    uint64_t refcount_table_at;
    uint32_t refcount_table_clusters;
    uint32_t snapshots;
    uint64_t snapshots_at;
    uint64_t incompatible;
    uint64_t compatible;
    uint64_t autoclear;
    uint32_t refcount_order; /* 4: 16 bits */
    uint32_t header_len;
    uint64_t compression; /* type 0 (zlib) and padding */
    uint32_t extension_type;
    uint32_t extension_len;
    char extension[8];
    uint64_t extensions_end;
} __attribute__((packed));

static int write_at(int fd, const void *data, size_t len, off_t at)
{
    ssize_t n = pwrite(fd, data, len, at);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -ENOSPC;
}

static int fill(int fd, uint64_t disk_bytes, const char *backing, const char *format)
{
    uint64_t l1 = (disk_bytes + L1_ENTRY_COVERS_BYTES - 1) / L1_ENTRY_COVERS_BYTES;
    uint32_t l1_clusters = (uint32_t)((l1 * 8 + CLUSTER_BYTES - 1) / CLUSTER_BYTES);
    uint32_t clusters = 3 + l1_clusters;
    /* One refcount block counts 32,768 clusters, far more than any L1 table we make needs. */
    if (clusters > CLUSTER_BYTES / 2)
        return -EFBIG;
    struct header h = {
        .magic = htobe32(MAGIC),
        .version = htobe32(3),
        .backing_at = htobe64(BACKING_NAME_AT),
        .backing_len = htobe32((uint32_t)strlen(backing)),
        .cluster_bits = htobe32(CLUSTER_BITS),
        .disk_bytes = htobe64(disk_bytes),
        .l1_entries = htobe32((uint32_t)l1),
        .l1_at = htobe64(3 * (uint64_t)CLUSTER_BYTES),
        .refcount_table_at = htobe64(CLUSTER_BYTES),
        .refcount_table_clusters = htobe32(1),
        .refcount_order = htobe32(4),
        .header_len = htobe32(offsetof(struct header, extension_type)),
        .extension_type = htobe32(EXTENSION_BACKING_FORMAT),
        .extension_len = htobe32((uint32_t)strlen(format)),
    };
    memcpy(h.extension, format, strlen(format));
    uint64_t block_at = htobe64(2 * (uint64_t)CLUSTER_BYTES);
    uint16_t counts[CLUSTER_BYTES / 2];
    for (uint32_t i = 0; i < clusters; i++)
        counts[i] = htobe16(1);
    int r = write_at(fd, &h, sizeof(h), 0);
    if (r == 0)
        r = write_at(fd, backing, strlen(backing), BACKING_NAME_AT);
    if (r == 0)
        r = write_at(fd, &block_at, sizeof(block_at), CLUSTER_BYTES);
    if (r == 0)
        r = write_at(fd, counts, clusters * sizeof(counts[0]), 2 * (off_t)CLUSTER_BYTES);
    if (r == 0 && ftruncate(fd, (off_t)clusters * CLUSTER_BYTES) < 0)
        r = -errno;
    return r;
}

int qcow2_create(const char *path, uint64_t disk_bytes, const char *backing,
                 const char *backing_format, struct err *e)
{
    if (disk_bytes == 0 || disk_bytes % 512 != 0)
        return err_set(e, ERR_INVALID, "a disk of %llu bytes is not whole sectors",
                       (unsigned long long)disk_bytes);
    if (strlen(backing) > QCOW2_BACKING_MAX_BYTES || strlen(backing_format) > 8)
        return err_errno(e, -ENAMETOOLONG, "backing file of %s", path);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, -errno, "make %s", path);
    int r = fill(fd, disk_bytes, backing, backing_format);
    if (r < 0) {
        unlink(path);
        return err_errno(e, r, "write %s", path);
    }
    return 0;
}

int qcow2_parse(const void *data, size_t len, struct qcow2_info *ret, struct err *e)
{
    struct header h;
    if (len < sizeof(h))
        return err_set(e, ERR_CONFLICT, "a disk layer is damaged: it is too short");
    memcpy(&h, data, sizeof(h));
    uint64_t at = be64toh(h.backing_at), name_len = be32toh(h.backing_len);
    uint64_t disk_bytes = be64toh(h.disk_bytes);
    if (be32toh(h.magic) != MAGIC || be32toh(h.version) != 3)
        return err_set(e, ERR_CONFLICT, "a disk layer is damaged: it is not qcow2");
    if (disk_bytes == 0 || disk_bytes > INT64_MAX || disk_bytes % 512 != 0)
        return err_set(e, ERR_CONFLICT, "a disk layer is damaged: its size is impossible");
    if (name_len == 0 || name_len > QCOW2_BACKING_MAX_BYTES || at > len || name_len > len - at)
        return err_set(e, ERR_CONFLICT, "a disk layer is damaged: it stands on nothing");
    *ret = (struct qcow2_info){.disk_bytes = disk_bytes};
    memcpy(ret->backing, (const char *)data + at, name_len);
    return 0;
}

int qcow2_read(const char *path, struct qcow2_info *ret, struct err *e)
{
    char data[QCOW2_HEADER_MAX_BYTES];
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CONFLICT, "the disk layer %s: %s", path, strerror(errno));
    ssize_t n = pread(fd, data, sizeof(data), 0);
    if (n < 0)
        return err_errno(e, -errno, "read %s", path);
    return qcow2_parse(data, (size_t)n, ret, e);
}

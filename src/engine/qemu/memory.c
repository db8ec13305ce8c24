/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"

#define PAGE_BYTES 4096
#define PAGES_AT_ONCE 512 /* pagemap entries looked at together; runs of dirty pages end there */
#define PAGE_PRESENT_OR_SWAPPED (3ull << 62)
#define PAGE_OF_FILE (1ull << 61)

struct copy {
    int pagemap_fd;
    int mem_fd;
    int out_fd;
    bool out_has_data; /* the copied file is not one big hole */
    char *room;        /* PAGES_AT_ONCE pages */
    uint64_t pages;
};

struct range {
    uint64_t start; /* addresses */
    uint64_t end;
    uint64_t offset; /* in the file */
};

static bool is_zero(const char *page)
{
    /* The first word decides nearly always; comparing the page with itself, shifted, does the rest.
     */
    return *(const uint64_t *)page == 0 && memcmp(page, page + 8, PAGE_BYTES - 8) == 0;
}

static int write_run(struct copy *c, const char *data, size_t len, uint64_t at, bool zero)
{
    if (!zero) {
        while (len) {
            ssize_t n = pwrite(c->out_fd, data, len, (off_t)at);
            if (n < 0)
                return -errno;
            data += n;
            len -= (size_t)n;
            at += (uint64_t)n;
        }
        return 0;
    }
    if (!c->out_has_data)
        return 0;
    return fallocate(c->out_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len) <
                   0
               ? -errno
               : 0;
}

/* Copies `n` dirty pages that follow each other. */
static int copy_run(struct copy *c, uint64_t address, uint64_t offset, size_t n)
{
    ssize_t got = pread(c->mem_fd, c->room, n * PAGE_BYTES, (off_t)address);
    if (got != (ssize_t)(n * PAGE_BYTES))
        return got < 0 ? -errno : -EIO;
    c->pages += n;
    for (size_t i = 0; i < n;) {
        bool zero = is_zero(c->room + i * PAGE_BYTES);
        size_t j = i + 1;
        while (j < n && is_zero(c->room + j * PAGE_BYTES) == zero)
            j++;
        int r = write_run(c, c->room + i * PAGE_BYTES, (j - i) * PAGE_BYTES,
                          offset + i * PAGE_BYTES, zero);
        if (r < 0)
            return r;
        i = j;
    }
    return 0;
}

static int copy_range(struct copy *c, const struct range *range)
{
    uint64_t entries[PAGES_AT_ONCE];
    size_t left = (range->end - range->start) / PAGE_BYTES;
    for (uint64_t at = range->start; left;) {
        size_t n = left < PAGES_AT_ONCE ? left : PAGES_AT_ONCE;
        ssize_t got = pread(c->pagemap_fd, entries, n * 8, (off_t)(at / PAGE_BYTES * 8));
        if (got != (ssize_t)(n * 8))
            return got < 0 ? -errno : -EIO;
        for (size_t i = 0; i < n;) {
            size_t j = i;
            while (j < n && entries[j] & PAGE_PRESENT_OR_SWAPPED && !(entries[j] & PAGE_OF_FILE))
                j++;
            uint64_t address = at + i * PAGE_BYTES;
            int r = j > i ? copy_run(c, address, address - range->start + range->offset, j - i) : 0;
            if (r < 0)
                return r;
            i = j > i ? j : i + 1;
        }
        at += n * PAGE_BYTES;
        left -= n;
    }
    return 0;
}

/* Parses a line of /proc/PID/maps; true when it is a private mapping of inode `ino`. */
static bool parse_mapping(const char *line, ino_t ino, struct range *ret)
{
    char access[8];
    uint64_t inode;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %" SCNu64, &ret->start, &ret->end,
               access, &ret->offset, &inode) != 5)
        return false;
    /* The device is not compared: btrfs and overlayfs tell stat and maps different ones. */
    return inode == ino && access[3] == 'p' && ret->end > ret->start;
}

static int copy_mappings(struct copy *c, pid_t pid, ino_t ino, uint64_t *ret_bytes)
{
    char path[64];
    auto_buf struct buf maps = {0};
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    int r = file_read(path, &maps, 16 * MIB);
    char *rest = NULL;
    for (char *line = r == 0 && maps.len ? strtok_r(maps.data, "\n", &rest) : NULL; line && r == 0;
         line = strtok_r(NULL, "\n", &rest)) {
        struct range range;
        if (!parse_mapping(line, ino, &range))
            continue;
        *ret_bytes += range.end - range.start;
        r = copy_range(c, &range);
    }
    return r;
}

int memory_copy_dirty(pid_t pid, const char *mapped_path, int out_fd, uint64_t *ret_pages,
                      struct err *e)
{
    char pagemap[64], mem[64];
    struct stat st, out;
    if (stat(mapped_path, &st) < 0 || fstat(out_fd, &out) < 0)
        return err_errno(e, -errno, "%s", mapped_path);
    snprintf(pagemap, sizeof(pagemap), "/proc/%d/pagemap", pid);
    snprintf(mem, sizeof(mem), "/proc/%d/mem", pid);
    auto_close int pagemap_fd = open(pagemap, O_RDONLY | O_CLOEXEC);
    auto_close int mem_fd = open(mem, O_RDONLY | O_CLOEXEC);
    if (pagemap_fd < 0 || mem_fd < 0)
        return err_errno(e, -errno, "read memory of process %d", pid);
    auto_free char *room = malloc((size_t)PAGES_AT_ONCE * PAGE_BYTES);
    if (!room)
        return err_errno(e, -ENOMEM, "copy memory");
    struct copy c = {.pagemap_fd = pagemap_fd,
                     .mem_fd = mem_fd,
                     .out_fd = out_fd,
                     .out_has_data = out.st_blocks > 0,
                     .room = room};
    uint64_t mapped_bytes = 0;
    int r = copy_mappings(&c, pid, st.st_ino, &mapped_bytes);
    if (r < 0)
        return err_errno(e, r, "copy memory of process %d", pid);
    /* A mapping that was not found would make a template of old memory. */
    if (mapped_bytes != (uint64_t)st.st_size)
        return err_set(e, ERR_INTERNAL, "process %d maps %llu of %lld bytes of %s", pid,
                       (unsigned long long)mapped_bytes, (long long)st.st_size, mapped_path);
    *ret_pages = c.pages;
    return 0;
}

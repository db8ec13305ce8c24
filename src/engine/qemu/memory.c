/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/bitmap.h"
#include "engine/qemu/extents.h"

#define PAGE_BYTES EXTENTS_PAGE_BYTES
#define ENTRIES_AT_ONCE 4096 /* of the page map */
#define RUNS_AT_ONCE 512     /* runs of dirty pages copied by one call; Linux allows 1,024 */
#define PAGE_PRESENT_OR_SWAPPED (3ull << 62)
#define PAGE_OF_FILE (1ull << 61)
#define SPARE_PAGES 1024 /* that may become dirty between the estimate and the pause */

/* --- where the memory is --- */

struct mapping {
    uint64_t start, end, offset; /* addresses; place in the file */
    uint64_t inode;
    bool private;
};

static bool parse_mapping(const char *line, struct mapping *ret)
{
    char access[8];
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %" SCNu64, &ret->start, &ret->end,
               access, &ret->offset, &ret->inode) != 5)
        return false;
    ret->private = access[3] == 'p';
    return ret->end > ret->start;
}

/* Adds a mapping to what was found; false when it does not continue it. */
static bool add_mapping(struct memory_view *view, const struct mapping *m)
{
    if (view->pages == 0)
        view->address = m->start;
    uint64_t done = view->pages * PAGE_BYTES;
    if (m->start != view->address + done || m->offset != done)
        return false;
    view->pages += (m->end - m->start) / PAGE_BYTES;
    return true;
}

int memory_find(pid_t pid, const char *base_path, const char *delta_path, struct memory_view *ret,
                struct err *e)
{
    char path[64], *rest = NULL;
    struct stat base, delta = {0};
    struct memory_view view = {.pid = pid};
    auto_buf struct buf maps = {0};
    if (stat(base_path, &base) < 0 || (delta_path && stat(delta_path, &delta) < 0))
        return err_errno(e, -errno, "%s", base_path);
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    int r = file_read(path, &maps, 16 * MIB);
    if (r < 0)
        return err_errno(e, r, "mappings of process %d", pid);
    bool whole = true;
    for (char *line = maps.len ? strtok_r(maps.data, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest)) {
        struct mapping m;
        /* The device is not compared: btrfs and overlayfs tell stat and maps different ones. */
        if (parse_mapping(line, &m) && m.private && m.inode != 0 &&
            (m.inode == base.st_ino || m.inode == delta.st_ino))
            whole = whole && add_mapping(&view, &m);
    }
    /* A mapping that was not found would make a template of old memory. */
    if (!whole || view.pages * PAGE_BYTES != (uint64_t)base.st_size)
        return err_set(e, ERR_INTERNAL, "process %d maps %llu of %lld bytes of %s%s", pid,
                       (unsigned long long)(view.pages * PAGE_BYTES), (long long)base.st_size,
                       base_path, whole ? "" : ", out of order");
    *ret = view;
    return 0;
}

/* --- which pages are dirty --- */

/* Sets the bits of dirty pages and counts them. */
static int scan(const struct memory_view *view, uint64_t *bits, uint64_t *ret_pages)
{
    uint64_t entries[ENTRIES_AT_ONCE], pages = 0;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/pagemap", view->pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (uint64_t at = 0; at < view->pages;) {
        uint64_t left = view->pages - at;
        size_t n = left < ENTRIES_AT_ONCE ? (size_t)left : ENTRIES_AT_ONCE;
        uint64_t first = view->address / PAGE_BYTES + at;
        ssize_t got = pread(fd, entries, n * 8, (off_t)(first * 8));
        if (got != (ssize_t)(n * 8))
            return got < 0 ? -errno : -EIO;
        for (size_t i = 0; i < n; i++) {
            bool dirty = entries[i] & PAGE_PRESENT_OR_SWAPPED && !(entries[i] & PAGE_OF_FILE);
            bits[(at + i) / 64] |= (uint64_t)dirty << (at + i) % 64;
            pages += dirty;
        }
        at += n;
    }
    *ret_pages = pages;
    return 0;
}

/* --- copying --- */

/* Room that has been touched, so that copying there costs no page faults. */
static char *make_room(size_t bytes)
{
    char *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    (void)madvise(room, bytes, MADV_HUGEPAGE);
    if (madvise(room, bytes, MADV_POPULATE_WRITE) < 0)
        for (size_t i = 0; i < bytes; i += PAGE_BYTES)
            ((volatile char *)room)[i] = 0;
    return room;
}

int memory_prepare(const struct memory_view *view, struct memory_dirty *ret, struct err *e)
{
    struct memory_dirty d = {.bits = bitmap_new(view->pages)};
    uint64_t pages = 0;
    if (!d.bits)
        return err_errno(e, -ENOMEM, "copy memory");
    int r = scan(view, d.bits, &pages);
    pages += pages / 4 + SPARE_PAGES;
    if (pages > view->pages)
        pages = view->pages;
    if (pages > ENGINE_STAGING_MAX_BYTES / PAGE_BYTES)
        pages = ENGINE_STAGING_MAX_BYTES / PAGE_BYTES;
    d.room_pages = pages;
    d.room = r < 0 ? NULL : make_room(pages * PAGE_BYTES);
    if (r == 0 && !d.room)
        r = -ENOMEM;
    if (r < 0) {
        memory_done(&d);
        return err_errno(e, r, "read memory of process %d", view->pid);
    }
    *ret = d;
    return 0;
}

void memory_done(struct memory_dirty *d)
{
    if (d->room)
        munmap(d->room, d->room_pages * PAGE_BYTES);
    free(d->bits);
    *d = (struct memory_dirty){0};
}

static int copy_runs(const struct memory_view *view, struct memory_dirty *d,
                     const struct iovec *runs, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += runs[i].iov_len;
    struct iovec to = {.iov_base = d->room + d->held * PAGE_BYTES, .iov_len = bytes};
    ssize_t got = n ? process_vm_readv(view->pid, &to, 1, runs, (unsigned long)n, 0) : 0;
    if (got != (ssize_t)bytes)
        return got < 0 ? -errno : -EIO;
    d->held += bytes / PAGE_BYTES;
    return 0;
}

static bool is_zero(const char *page)
{
    /* The first word decides nearly always; comparing the page with itself, shifted, does the rest.
     */
    return *(const uint64_t *)page == 0 && memcmp(page, page + 8, PAGE_BYTES - 8) == 0;
}

/* Writes pages that follow each other, in the room and in memory. */
static int write_run(const char *data, uint64_t page, uint64_t n, int out_fd)
{
    for (uint64_t i = 0; i < n;) {
        uint64_t end = i;
        while (end < n && !is_zero(data + end * PAGE_BYTES))
            end++;
        for (size_t done = 0, len = (end - i) * PAGE_BYTES; done < len;) {
            ssize_t got = pwrite(out_fd, data + i * PAGE_BYTES + done, len - done,
                                 (off_t)((page + i) * PAGE_BYTES + done));
            if (got < 0 && errno != EINTR)
                return -errno;
            done += got > 0 ? (size_t)got : 0;
        }
        i = end + (end < n);
    }
    return 0;
}

/* Finds the page that is the `first`-th dirty one. */
static uint64_t page_of(const struct memory_dirty *d, uint64_t first)
{
    uint64_t word = 0;
    for (;; word++) {
        uint64_t n = (uint64_t)__builtin_popcountll(d->bits[word]);
        if (first < n)
            break;
        first -= n;
    }
    uint64_t left = d->bits[word];
    for (; first; first--)
        left &= left - 1;
    return word * 64 + (uint64_t)__builtin_ctzll(left);
}

/* Empties the room into the file. */
static int empty_room(struct memory_dirty *d, int out_fd)
{
    uint64_t done = 0, page = d->held ? page_of(d, d->first) : 0;
    while (done < d->held) {
        uint64_t end = bitmap_find(d->bits, page, page + (d->held - done), false);
        int r = write_run(d->room + done * PAGE_BYTES, page, end - page, out_fd);
        if (r < 0)
            return r;
        done += end - page;
        page = done < d->held ? bitmap_find(d->bits, end, UINT64_MAX, true) : end;
    }
    d->first += d->held;
    d->held = 0;
    return 0;
}

static int take_all(const struct memory_view *view, struct memory_dirty *d, int out_fd)
{
    struct iovec runs[RUNS_AT_ONCE];
    int n = 0, r = 0;
    uint64_t free_pages = d->room_pages;
    for (uint64_t page = 0; r == 0;) {
        page = bitmap_find(d->bits, page, view->pages, true);
        bool last = page == view->pages;
        if (last || n == RUNS_AT_ONCE || free_pages == 0) {
            r = copy_runs(view, d, runs, n);
            n = 0;
        }
        if (last || r < 0)
            break;
        if (free_pages == 0) {
            r = empty_room(d, out_fd);
            free_pages = d->room_pages;
        }
        uint64_t end = bitmap_find(d->bits, page, view->pages, false);
        end = end - page > free_pages ? page + free_pages : end;
        runs[n++] = (struct iovec){.iov_base = (void *)(view->address + page * PAGE_BYTES),
                                   .iov_len = (end - page) * PAGE_BYTES};
        free_pages -= end - page;
        page = end;
    }
    return r;
}

int memory_take(const struct memory_view *view, struct memory_dirty *d, int out_fd, struct err *e)
{
    memset(d->bits, 0, (view->pages / 64 + 1) * sizeof(uint64_t));
    d->first = d->held = 0;
    int r = scan(view, d->bits, &d->pages);
    if (r == 0)
        r = take_all(view, d, out_fd);
    return r < 0 ? err_errno(e, r, "read memory of process %d", view->pid) : 0;
}

int memory_flush(struct memory_dirty *d, int out_fd, struct err *e)
{
    int r = empty_room(d, out_fd);
    return r < 0 ? err_errno(e, r, "write memory") : 0;
}

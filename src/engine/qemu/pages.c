/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/bitmap.h"
#include "engine/qemu/extents.h"
#include "engine/qemu/layers.h"

#define PAGE_BYTES EXTENTS_PAGE_BYTES
#define GAP_MIN_PAGES 8     /* gaps up to this are not worth two mappings more */
#define EXTENTS_WANTED 1024 /* larger gaps are filled until there are no more than these */

static int open_in(const char *dir, const char *name, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    int fd = r < 0 ? r : open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_errno(e, r < 0 ? r : -errno, "open %s/%s", dir, name) : fd;
}

static int read_extents(const char *dir, struct pages *p, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf b = {0};
    int r = path_printf(path, sizeof(path), "%s/" PAGES_EXTENTS, dir);
    if (r == 0)
        r = file_read(path, &b, EXTENTS_MAX * sizeof(struct extent));
    if (r < 0)
        return err_errno(e, r, "read %s", path);
    const struct extent *v = (const struct extent *)b.data;
    size_t n = b.len / sizeof(*v);
    p->delta_bits = bitmap_new(p->n);
    if (!p->delta_bits)
        return err_errno(e, -ENOMEM, "%s", path);
    if (b.len % sizeof(*v) != 0 || !extents_valid(v, n, p->n))
        return err_set(e, ERR_CONFLICT, "%s is damaged", path);
    for (size_t i = 0; i < n; i++)
        bitmap_set(p->delta_bits, v[i].page, (uint64_t)v[i].page + v[i].pages);
    return 0;
}

int pages_open(const char *dir, struct pages *ret, struct err *e)
{
    CLEANUP(pages_done) struct pages p = {.memory_fd = -EBADF, .delta_fd = -EBADF};
    char path[PATH_MAX];
    struct stat st;
    p.memory_fd = open_in(dir, PAGES_MEMORY, e);
    if (p.memory_fd < 0)
        return p.memory_fd;
    if (fstat(p.memory_fd, &st) < 0)
        return err_errno(e, -errno, "%s/" PAGES_MEMORY, dir);
    p.n = (uint64_t)st.st_size / PAGE_BYTES;
    if (path_printf(path, sizeof(path), "%s/" PAGES_DELTA, dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", dir);
    if (access(path, F_OK) == 0) {
        p.delta_fd = open_in(dir, PAGES_DELTA, e);
        int r = p.delta_fd < 0 ? p.delta_fd : read_extents(dir, &p, e);
        if (r < 0)
            return r;
    }
    p.hole = st.st_blocks == 0 && p.delta_fd < 0;
    *ret = p;
    p = (struct pages){.memory_fd = -EBADF, .delta_fd = -EBADF};
    return 0;
}

void pages_done(struct pages *p)
{
    cleanup_close(&p->memory_fd);
    cleanup_close(&p->delta_fd);
    free(p->delta_bits);
    *p = (struct pages){.memory_fd = -EBADF, .delta_fd = -EBADF};
}

static int copy_slowly(int from_fd, int to_fd, off_t at, size_t len)
{
    char room[64 * KIB];
    while (len) {
        size_t want = len < sizeof(room) ? len : sizeof(room);
        ssize_t got = pread(from_fd, room, want, at);
        ssize_t put = got > 0 ? pwrite(to_fd, room, (size_t)got, at) : got;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

/* Copies bytes to the same place of another file. */
static int copy_data(int from_fd, int to_fd, off_t at, size_t len)
{
    while (len) {
        off_t in = at, out = at;
        ssize_t n = copy_file_range(from_fd, &in, to_fd, &out, len, 0);
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
            return copy_slowly(from_fd, to_fd, at, len);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Copies pages; what is a hole there stays one here. */
static int copy_pages(int from_fd, int to_fd, uint64_t start, uint64_t end)
{
    off_t at = (off_t)(start * PAGE_BYTES), stop = (off_t)(end * PAGE_BYTES);
    while (at < stop) {
        off_t data = lseek(from_fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return 0;
        if (data < 0)
            return -errno;
        if (data >= stop)
            return 0;
        off_t hole = lseek(from_fd, data, SEEK_HOLE);
        hole = hole < 0 || hole > stop ? stop : hole;
        int r = copy_data(from_fd, to_fd, data, (size_t)(hole - data));
        if (r < 0)
            return r;
        at = hole;
    }
    return 0;
}

/* Copies every page of `cover` that is not dirty from the file that has it. */
static int copy_clean(const struct pages *from, const uint64_t *dirty, const uint64_t *cover,
                      int out_fd)
{
    uint64_t page = bitmap_find(cover, 0, from->n, true);
    while (page < from->n) {
        uint64_t end = bitmap_find(cover, page, from->n, false);
        bool is_dirty = bitmap_get(dirty, page);
        end = bitmap_find(dirty, page, end, !is_dirty);
        bool in_delta = from->delta_bits && bitmap_get(from->delta_bits, page);
        if (!is_dirty && from->delta_bits)
            end = bitmap_find(from->delta_bits, page, end, !in_delta);
        int r = is_dirty
                    ? 0
                    : copy_pages(in_delta ? from->delta_fd : from->memory_fd, out_fd, page, end);
        if (r < 0)
            return r;
        page = bitmap_find(cover, end, from->n, true);
    }
    return 0;
}

/* Lists the runs of set bits, with gaps of up to `gap` pages filled; at most `max`. Returns how
 * many there are. */
static size_t list_runs(const uint64_t *bits, uint64_t pages, uint64_t gap, struct extent *ret,
                        size_t max)
{
    size_t n = 0;
    uint64_t end = 0;
    for (uint64_t page = bitmap_find(bits, 0, pages, true); page < pages;
         page = bitmap_find(bits, end, pages, true)) {
        bool joins = n && page - end <= gap;
        end = bitmap_find(bits, page, pages, false);
        if (!joins && n++ < max)
            ret[n - 1].page = (uint32_t)page;
        if (n <= max)
            ret[n - 1].pages = (uint32_t)(end - ret[n - 1].page);
    }
    return n;
}

/* Writes `extents` for the pages of `cover`, which gets the bits of the filled gaps too. */
static int write_extents(const char *dir, uint64_t *cover, uint64_t pages, struct err *e)
{
    char path[PATH_MAX];
    auto_free struct extent *v = malloc(EXTENTS_WANTED * sizeof(*v));
    if (!v || path_printf(path, sizeof(path), "%s/" PAGES_EXTENTS, dir) < 0)
        return err_errno(e, -ENOMEM, "list changed pages");
    uint64_t gap = GAP_MIN_PAGES;
    size_t n;
    while ((n = list_runs(cover, pages, gap, v, EXTENTS_WANTED)) > EXTENTS_WANTED)
        gap *= 2;
    for (size_t i = 0; i < n; i++)
        bitmap_set(cover, v[i].page, (uint64_t)v[i].page + v[i].pages);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    int r = fd < 0 ? -errno : fd_write_all(fd, v, n * sizeof(*v));
    return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

static uint64_t count(const uint64_t *bits, uint64_t pages)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i <= pages / 64; i++)
        n += (uint64_t)__builtin_popcountll(bits[i]);
    return n;
}

static int link_memory(const struct pages_target *to, struct err *e)
{
    char from[PATH_MAX], path[PATH_MAX];
    if (path_printf(from, sizeof(from), "%s/" PAGES_MEMORY, to->from_dir) < 0 ||
        path_printf(path, sizeof(path), "%s/" PAGES_MEMORY, to->dir) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", to->dir);
    return layers_link_file(from, path, e);
}

int pages_complete(const struct pages *from, const struct memory_dirty *dirty,
                   const struct pages_target *to, bool *ret_delta, struct err *e)
{
    char path[PATH_MAX];
    auto_free uint64_t *cover = bitmap_new(from->n);
    if (!cover)
        return err_errno(e, -ENOMEM, "write memory");
    for (uint64_t i = 0; i <= from->n / 64; i++)
        cover[i] = dirty->bits[i] | (from->delta_bits ? from->delta_bits[i] : 0);
    bool delta = !from->hole && count(cover, from->n) <= from->n / 2;
    int r = 0;
    if (delta)
        r = write_extents(to->dir, cover, from->n, e);
    else
        bitmap_set(cover, 0, from->n);
    if (r == 0 && delta)
        r = link_memory(to, e);
    if (r < 0)
        return r;
    r = copy_clean(from, dirty->bits, cover, to->out_fd);
    if (r < 0)
        return err_errno(e, r, "write memory");
    if (path_printf(path, sizeof(path), "%s/%s", to->dir, delta ? PAGES_DELTA : PAGES_MEMORY) < 0 ||
        rename(to->out_path, path) < 0)
        return err_errno(e, -errno, "rename to %s", path);
    *ret_delta = delta;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define BUF_BYTES (1024 * 1024)

void bulk_init(struct bulk *b)
{
    *b = (struct bulk){.fd = -EBADF};
}

void bulk_done(struct bulk *b)
{
    if (b->buf)
        munmap(b->buf, BUF_BYTES);
    bulk_init(b);
}

/* False where the file system has no such thing. */
static bool set_direct(struct bulk *b, bool on)
{
    int flags = fcntl(b->fd, F_GETFL);
    if (b->direct == on)
        return true;
    if (flags < 0 || fcntl(b->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
        return false;
    b->direct = on;
    return true;
}

struct bulk *bulk_take(struct bulk *b, int fd)
{
    if (b->fd >= 0)
        return NULL;
    if (!b->buf) {
        void *p = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        b->buf = p;
    }
    b->fd = fd;
    b->used = b->at = 0;
    b->direct = false;
    return b;
}

/* Only whole buffers go directly: the end of a file need not fill a block. */
static int flush(struct bulk *b)
{
    set_direct(b, b->used == BUF_BYTES);
    int r = fd_write_all(b->fd, b->buf, b->used);
    if (r == -EINVAL && set_direct(b, false))
        r = fd_write_all(b->fd, b->buf, b->used);
    b->used = 0;
    return r;
}

int bulk_write(struct bulk *b, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len) {
        size_t n = BUF_BYTES - b->used < len ? BUF_BYTES - b->used : len;
        memcpy(b->buf + b->used, p, n);
        b->used += n;
        p += n;
        len -= n;
        int r = b->used == BUF_BYTES ? flush(b) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int bulk_finish(struct bulk *b)
{
    int r = flush(b);
    bulk_drop(b);
    return r;
}

/* What is in memory already. -EAGAIN: nothing. */
static ssize_t read_cached(struct bulk *b, void *out, size_t size, int64_t offset)
{
    const struct iovec v = {.iov_base = out, .iov_len = size};
    set_direct(b, false);
    ssize_t n = preadv2(b->fd, &v, 1, offset, RWF_NOWAIT);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EOPNOTSUPP ? -EAGAIN : -errno;
}

/* Fills the buffer from the disk. */
static int fill(struct bulk *b, int64_t offset)
{
    int64_t from = offset - offset % (int64_t)BULK_ALIGN_BYTES;
    ssize_t n = -1;
    if (set_direct(b, true))
        n = pread(b->fd, b->buf, BUF_BYTES, from);
    if (n < 0 && (!b->direct || (errno == EINVAL && set_direct(b, false))))
        n = pread(b->fd, b->buf, BUF_BYTES, from);
    if (n < 0)
        return -errno;
    b->used = (size_t)n;
    b->at = (size_t)(offset - from);
    if (b->at > b->used)
        b->at = b->used;
    return 0;
}

ssize_t bulk_read(struct bulk *b, void *out, size_t size, int64_t offset)
{
    if (b->at == b->used) {
        ssize_t n = read_cached(b, out, size, offset);
        if (n != -EAGAIN)
            return n;
        int r = fill(b, offset);
        if (r < 0)
            return r;
    }
    size_t n = b->used - b->at < size ? b->used - b->at : size;
    memcpy(out, b->buf + b->at, n);
    b->at += n;
    return (ssize_t)n;
}

void bulk_drop(struct bulk *b)
{
    if (b)
        b->fd = -EBADF;
}

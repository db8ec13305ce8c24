/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

int spool_file_open(const char *dir)
{
    /* What is kept on the disk costs no memory. */
    static const char *const dirs[] = {"/var/tmp", "/tmp", "/run", "/"};
    if (dir) {
        int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd;
    }
    int r = -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(dirs) && r < 0; i++)
        r = spool_file_open(dirs[i]);
    return r;
}

static struct spool_segment *newest(const struct spool *s)
{
    return &s->segments[1];
}

/* Makes it begin at the end of all there is. */
static void segment_empty(struct spool *s, struct spool_segment *g)
{
    if (g->size && ftruncate(g->fd, 0) < 0)
        g->size = 0; /* it is overwritten then */
    g->serial = ++s->serial;
    g->start = s->end;
    g->size = 0;
    g->last.at = -1;
    g->n_index = 0;
}

int spool_init(struct spool *s, const char *dir)
{
    *s = (struct spool){.dir = dir, .segments = calloc(2, sizeof(*s->segments))};
    if (!s->segments)
        return -ENOMEM;
    for (int i = 0; i < 2; i++)
        s->segments[i].fd = -EBADF;
    newest(s)->fd = spool_file_open(dir);
    if (newest(s)->fd < 0) {
        int r = newest(s)->fd;
        spool_done(s);
        return r;
    }
    segment_empty(s, &s->segments[0]);
    segment_empty(s, newest(s));
    return 0;
}

void spool_done(struct spool *s)
{
    for (int i = 0; s->segments && i < 2; i++)
        cleanup_close(&s->segments[i].fd);
    free(s->segments);
    s->segments = NULL;
}

static int rotate(struct spool *s)
{
    struct spool_segment *g = s->segments, oldest;
    if (g[0].fd < 0)
        g[0].fd = spool_file_open(s->dir);
    if (g[0].fd < 0)
        return g[0].fd;
    oldest = g[0];
    g[0] = g[1];
    g[1] = oldest;
    segment_empty(s, &g[1]);
    return 0;
}

/* All is lost, and the end is where it was. */
static void lose(struct spool *s, size_t len)
{
    s->end += (int64_t)len;
    segment_empty(s, &s->segments[0]);
    segment_empty(s, newest(s));
}

static int write_at(int fd, const struct iovec *v, int n, int64_t at)
{
    ssize_t want = 0;
    for (int i = 0; i < n; i++)
        want += (ssize_t)v[i].iov_len;
    ssize_t did;
    do
        did = pwritev(fd, v, n, at);
    while (did < 0 && errno == EINTR);
    return did == want ? 0 : did < 0 ? -errno : -ENOSPC;
}

/* Small pieces of one stream become one frame. */
static int extend_frame(struct spool_segment *g, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    struct iovec v = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct iovec h = {.iov_base = head, .iov_len = sizeof(head)};
    int r = write_at(g->fd, &v, 1, g->size);
    if (r < 0)
        return r;
    frame_header(head, g->last_type, g->last_len + len);
    return write_at(g->fd, &h, 1, g->last.at);
}

static int add_frame(struct spool *s, enum frame_type type, const void *data, size_t len)
{
    struct spool_segment *g = newest(s);
    uint8_t head[FRAME_HEADER_BYTES];
    const struct iovec v[2] = {
        {.iov_base = head, .iov_len = sizeof(head)},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = len},
    };
    frame_header(head, type, len);
    int r = write_at(g->fd, v, 2, g->size);
    if (r < 0)
        return r;
    g->last = (struct spool_mark){.offset = s->end, .at = g->size};
    g->last_type = type;
    g->last_len = 0;
    bool far =
        !g->n_index || g->size - g->index[g->n_index - 1].at >= (int64_t)SPOOL_INDEX_STEP_BYTES;
    if (far && g->n_index < SPOOL_INDEX_MAX)
        g->index[g->n_index++] = g->last;
    g->size += FRAME_HEADER_BYTES;
    return 0;
}

void spool_append(struct spool *s, enum frame_type type, const void *data, size_t len)
{
    struct spool_segment *g = newest(s);
    int r = 0;
    if (g->size + FRAME_HEADER_BYTES + (int64_t)len > (int64_t)AGENT_JOB_SEGMENT_BYTES)
        r = rotate(s);
    g = newest(s);
    if (r == 0 && g->last.at >= 0 && g->last_type == type &&
        g->last_len + len <= AGENT_FRAME_MAX_BYTES)
        r = extend_frame(g, data, len);
    else if (r == 0)
        r = add_frame(s, type, data, len);
    if (r < 0) {
        lose(s, len);
        return;
    }
    g->last_len += len;
    g->size += (int64_t)len;
    s->end += (int64_t)len;
}

int64_t spool_first(const struct spool *s)
{
    return s->segments[0].start;
}

/* --- reading --- */

static int read_head(const struct spool_segment *g, int64_t at, enum frame_type *ret_type,
                     int64_t *ret_len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    if (pread(g->fd, head, sizeof(head), at) != (ssize_t)sizeof(head))
        return -EIO;
    *ret_type = (enum frame_type)head[0];
    *ret_len = (int64_t)frame_number(head + 1, 3);
    return 0;
}

/* The segment that holds the cursor's next byte, the cursor on a frame of it. NULL: none. */
static const struct spool_segment *find_segment(const struct spool *s, struct spool_cursor *c)
{
    const struct spool_segment *g = &s->segments[c->offset >= newest(s)->start];
    if (c->offset >= s->end)
        return NULL;
    if (c->serial == g->serial)
        return g;
    size_t low = 0;
    for (size_t i = 1; i < g->n_index; i++)
        if (g->index[i].offset <= c->offset)
            low = i;
    c->serial = g->serial;
    c->frame = g->index[low];
    return g;
}

ssize_t spool_read(const struct spool *s, struct spool_cursor *c, void *buf, size_t size,
                   struct spool_piece *ret)
{
    if (c->offset < spool_first(s))
        c->offset = spool_first(s);
    const struct spool_segment *g = find_segment(s, c);
    int64_t len = 0;
    if (!g)
        return 0;
    for (;;) {
        int r = read_head(g, c->frame.at, &ret->type, &len);
        if (r < 0)
            return r;
        if (c->frame.offset + len > c->offset)
            break;
        c->frame.at += FRAME_HEADER_BYTES + len;
        c->frame.offset += len;
    }
    int64_t in_frame = c->offset - c->frame.offset;
    if ((int64_t)size > len - in_frame)
        size = (size_t)(len - in_frame);
    ssize_t n = pread(g->fd, buf, size, c->frame.at + FRAME_HEADER_BYTES + in_frame);
    if (n <= 0)
        return -EIO;
    ret->offset = c->offset;
    c->offset += n;
    return n;
}

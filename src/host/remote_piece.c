/* SPDX-License-Identifier: Apache-2.0 */
#include "host/remote_piece.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/limits.h"

#define BLOCK_BYTES (16 * REMOTE_GRAIN_BYTES)
#define LEVEL 3           /* of zstd: disks and networks are slower than this */
#define WINDOW_LOG_MAX 23 /* 8 MiB of memory at the most for a stranger's frame */
#define HOLE_BYTES 4096

static bool is_zero(const unsigned char *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* --- reading --- */

int remote_reader_init(struct remote_reader *r, int fd, struct err *e)
{
    struct stat st;
    *r = (struct remote_reader){.fd = fd};
    if (fstat(fd, &st) < 0)
        return err_errno(e, -errno, "look at a file");
    r->bytes = st.st_size;
    r->block = malloc(BLOCK_BYTES);
    crypto_hash_sha256_init(&r->sum);
    return r->block ? 0 : err_errno(e, -ENOMEM, "read a file");
}

void remote_reader_done(struct remote_reader *r)
{
    free(r->block);
    r->block = NULL;
}

/* Fills the block with what is at r->at, or behind the hole that is there. */
static int fill(struct remote_reader *r, struct err *e)
{
    off_t data = lseek(r->fd, r->at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
        r->at = r->bytes;
        return 0;
    }
    if (data < 0)
        return err_errno(e, -errno, "read a file");
    data -= data % REMOTE_GRAIN_BYTES;
    if (data > r->at)
        r->at = data;
    r->block_at = r->at;
    r->block_len = 0;
    while (r->block_len < BLOCK_BYTES && r->block_at + (int64_t)r->block_len < r->bytes) {
        int64_t left = r->bytes - r->block_at - (int64_t)r->block_len;
        size_t want = BLOCK_BYTES - r->block_len;
        want = (int64_t)want < left ? want : (size_t)left;
        ssize_t n = pread(r->fd, r->block + r->block_len, want, r->block_at + (off_t)r->block_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, -errno, "read a file");
        if (n == 0)
            return err_set(e, ERR_CONFLICT, "a file became shorter while it was read");
        r->block_len += (size_t)n;
    }
    return 0;
}

static size_t grain(const struct remote_reader *r, size_t off)
{
    size_t left = r->block_len - off;
    return left < REMOTE_GRAIN_BYTES ? left : REMOTE_GRAIN_BYTES;
}

static void add_to_sum(struct remote_reader *r, int64_t at, const unsigned char *data, size_t len)
{
    unsigned char place[8];
    for (int i = 0; i < 8; i++)
        place[i] = (unsigned char)((uint64_t)at >> 8 * i);
    crypto_hash_sha256_update(&r->sum, place, sizeof(place));
    crypto_hash_sha256_update(&r->sum, data, len);
}

/* The next grains that are not zero and lie together, before `limit`; *ret_len 0: there are none.
 */
static int next_run(struct remote_reader *r, int64_t limit, const unsigned char **ret,
                    size_t *ret_len, struct err *e)
{
    *ret_len = 0;
    while (*ret_len == 0 && r->at < limit) {
        if (r->at < r->block_at || r->at >= r->block_at + (int64_t)r->block_len) {
            int result = fill(r, e);
            if (result < 0)
                return result;
        }
        size_t off = (size_t)(r->at - r->block_at), len;
        while (r->at < limit && off < r->block_len) {
            len = grain(r, off);
            if (!is_zero(r->block + off, len))
                break;
            off += len;
            r->at += (int64_t)len;
        }
        *ret = r->block + off;
        while (r->at < limit && off < r->block_len) {
            len = grain(r, off);
            if (is_zero(r->block + off, len))
                break;
            add_to_sum(r, r->at, r->block + off, len);
            off += len;
            *ret_len += len;
            r->at += (int64_t)len;
        }
    }
    return 0;
}

int remote_reader_skip(struct remote_reader *r, int64_t at, struct err *e)
{
    const unsigned char *data;
    size_t len = 1;
    int result = 0;
    while (result == 0 && len)
        result = next_run(r, at, &data, &len, e);
    if (result == 0 && r->at > at && r->at < r->bytes) /* there was a hole at the limit */
        r->at = at;
    return result;
}

void remote_reader_sum(struct remote_reader *r, char ret[REMOTE_SUM_SIZE])
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state copy = r->sum;
    struct remote_reader end = {.sum = copy};
    add_to_sum(&end, r->bytes, NULL, 0);
    crypto_hash_sha256_final(&end.sum, sum);
    sodium_bin2hex(ret, REMOTE_SUM_SIZE, sum, sizeof(sum));
}

int remote_sum(int fd, const struct s3_wait *w, char ret[REMOTE_SUM_SIZE], struct err *e)
{
    struct remote_reader r;
    const unsigned char *data;
    size_t len = 1;
    int result = remote_reader_init(&r, fd, e);
    while (result == 0 && len) {
        result = next_run(&r, r.bytes, &data, &len, e);
        if (w && w->cancelled && w->cancelled(w->arg))
            result = -ECANCELED;
    }
    if (result == 0)
        remote_reader_sum(&r, ret);
    remote_reader_done(&r);
    return result;
}

/* --- making parts --- */

struct making {
    struct remote_file *file;
    struct remote_part part;
    ZSTD_CCtx *zstd;
    struct buf *out;
};

static void free_cctx(ZSTD_CCtx **c)
{
    ZSTD_freeCCtx(*c);
}

static int compress(struct making *m, const void *data, size_t len, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {data, len, 0};
    size_t left;
    do {
        size_t room = ZSTD_CStreamOutSize();
        char *to = buf_reserve(m->out, room);
        if (!to)
            return -ENOMEM;
        ZSTD_outBuffer out = {to, room, 0};
        left = ZSTD_compressStream2(m->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return -EIO;
        m->out->len += out.pos;
    } while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return 0;
}

static int compress_zeros(struct making *m, int64_t bytes)
{
    static const unsigned char zeros[REMOTE_GRAIN_BYTES];
    int r = 0;
    for (size_t len; r == 0 && bytes > 0; bytes -= (int64_t)len) {
        len = bytes < (int64_t)sizeof(zeros) ? (size_t)bytes : sizeof(zeros);
        r = compress(m, zeros, len, ZSTD_e_continue);
    }
    return r;
}

/* When a file has very many extents those to come are made one: the zeros between are then part of
 * the data. */
static int add_extent(struct making *m, int64_t at, size_t len)
{
    struct remote_file *f = m->file;
    struct remote_extent *last = m->part.n ? &f->extents[f->n_extents - 1] : NULL;
    bool joins = last && last->at + last->bytes == at;
    if (last && (joins || f->n_extents >= REMOTE_EXTENTS_MAX - S3_PARTS_MAX)) {
        int r = compress_zeros(m, at - last->at - last->bytes);
        last->bytes = at + (int64_t)len - last->at;
        return r;
    }
    if (!remote_extents_grow(f, f->n_extents))
        return -ENOMEM;
    f->extents[f->n_extents++] = (struct remote_extent){at, (int64_t)len};
    m->part.n++;
    return 0;
}

static int add_part(struct making *m, struct err *e)
{
    struct remote_file *f = m->file;
    unsigned char sum[crypto_hash_sha256_BYTES];
    if (f->n_parts == S3_PARTS_MAX)
        return err_set(e, ERR_TOO_LARGE, "%s has more than %d parts", f->name, S3_PARTS_MAX);
    struct remote_part *more = realloc(f->parts, (f->n_parts + 1) * sizeof(*f->parts));
    if (!more)
        return err_errno(e, -ENOMEM, "make a part");
    f->parts = more;
    crypto_hash_sha256(sum, (const unsigned char *)buf_str(m->out), m->out->len);
    sodium_bin2hex(m->part.sha256, sizeof(m->part.sha256), sum, sizeof(sum));
    m->part.at = remote_object_bytes(f);
    m->part.bytes = (int64_t)m->out->len;
    f->parts[f->n_parts++] = m->part;
    return 0;
}

static int fill_part(struct making *m, struct remote_reader *r, struct err *e)
{
    while (m->out->len < REMOTE_PART_BYTES) {
        const unsigned char *data;
        size_t len;
        int result = next_run(r, r->bytes, &data, &len, e);
        if (result < 0 || len == 0)
            return result;
        result = add_extent(m, r->at - (int64_t)len, len);
        if (result == 0)
            result = compress(m, data, len, ZSTD_e_continue);
        if (result < 0)
            return err_errno(e, result, "compress %s", m->file->name);
    }
    return 0;
}

int remote_part_make(struct remote_reader *r, struct remote_file *f, struct buf *ret, bool *ret_any,
                     struct err *e)
{
    CLEANUP(free_cctx) ZSTD_CCtx *zstd = ZSTD_createCCtx();
    struct making m = {.file = f, .zstd = zstd, .out = ret, .part.first = f->n_extents};
    *ret_any = false;
    buf_clear(ret);
    if (!zstd)
        return err_errno(e, -ENOMEM, "compress");
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL);
    int result = fill_part(&m, r, e);
    if (result < 0 || m.part.n == 0)
        return result;
    result = compress(&m, NULL, 0, ZSTD_e_end);
    if (result < 0)
        return err_errno(e, result, "compress %s", f->name);
    result = add_part(&m, e);
    *ret_any = result == 0;
    return result;
}

/* --- writing parts --- */

bool remote_part_ok(const struct remote_part *p, const void *data, size_t len)
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    char hex[REMOTE_SUM_SIZE];
    crypto_hash_sha256(sum, data, len);
    sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
    return (int64_t)len == p->bytes && strcmp(hex, p->sha256) == 0;
}

/* Where the next byte of a part goes. */
struct writing {
    int fd;
    const struct remote_extent *extent, *end;
    int64_t at; /* in the extent */
};

static int write_at(int fd, const unsigned char *p, size_t len, int64_t at)
{
    while (len) {
        ssize_t n = pwrite(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Without its blocks of zeros. */
static int write_sparse(int fd, const unsigned char *p, size_t len, int64_t at)
{
    size_t from = 0, to = 0;
    int r = 0;
    while (r == 0 && to < len) {
        size_t n = HOLE_BYTES - (size_t)((at + (int64_t)to) % HOLE_BYTES);
        n = n < len - to ? n : len - to;
        bool hole = is_zero(p + to, n);
        if (hole && to > from)
            r = write_at(fd, p + from, to - from, at + (int64_t)from);
        to += n;
        if (hole)
            from = to;
    }
    return r == 0 && to > from ? write_at(fd, p + from, to - from, at + (int64_t)from) : r;
}

/* -EBADMSG: there is more than extents. */
static int take(struct writing *w, const unsigned char *p, size_t len)
{
    int r = 0;
    while (r == 0 && len) {
        if (w->extent == w->end)
            return -EBADMSG;
        int64_t left = w->extent->bytes - w->at;
        size_t n = (int64_t)len < left ? len : (size_t)left;
        r = write_sparse(w->fd, p, n, w->extent->at + w->at);
        p += n;
        len -= n;
        w->at += (int64_t)n;
        if (w->at == w->extent->bytes) {
            w->extent++;
            w->at = 0;
        }
    }
    return r;
}

static void free_dctx(ZSTD_DCtx **d)
{
    ZSTD_freeDCtx(*d);
}

static int unpack(struct writing *w, const void *data, size_t len)
{
    CLEANUP(free_dctx) ZSTD_DCtx *zstd = ZSTD_createDCtx();
    size_t room = ZSTD_DStreamOutSize(), left = 1;
    auto_free unsigned char *to = malloc(room);
    ZSTD_inBuffer in = {data, len, 0};
    int r = 0;
    if (!zstd || !to)
        return -ENOMEM;
    ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    while (r == 0 && left) {
        ZSTD_outBuffer out = {to, room, 0};
        size_t before = in.pos;
        left = ZSTD_decompressStream(zstd, &out, &in);
        if (ZSTD_isError(left) || (in.pos == before && out.pos == 0))
            return -EBADMSG;
        r = take(w, to, out.pos);
    }
    return r == 0 && (in.pos != in.size || w->extent != w->end) ? -EBADMSG : r;
}

int remote_part_write(int fd, const struct remote_file *f, const struct remote_part *p,
                      const void *data, size_t len, struct err *e)
{
    const struct remote_extent *first = f->extents + p->first;
    struct writing w = {.fd = fd, .extent = first, .end = first + p->n};
    int r = unpack(&w, data, len);
    if (r == -EBADMSG)
        return err_set(e, ERR_UNAVAILABLE, "a part of %s is not made of what its manifest says",
                       f->name);
    if (r == -ENOSPC)
        return err_set(e, ERR_FULL, "the host's disk is full");
    return r < 0 ? err_errno(e, r, "write %s", f->name) : 0;
}

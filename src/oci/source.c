/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/source.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define PIECE_BYTES ((size_t)128 * 1024)
#define GZIP_WINDOW_BITS (16 + 15) /* zlib's way to say: gzip, and nothing else */
#define ZSTD_WINDOW_LOG_MAX 27     /* 128 MiB of memory */

enum form { FORM_PLAIN, FORM_GZIP, FORM_ZSTD };

struct source {
    struct source_part part;
    uint64_t at; /* read so far, from its beginning */
    enum form form;
    bool ended; /* no more comes out of it */
    uint64_t unpacked;
    z_stream z;
    bool has_z;
    ZSTD_DStream *zstd;
    bool zstd_frame_ended;
    crypto_hash_sha256_state in, out;
    size_t have, used; /* of piece */
    uint8_t piece[PIECE_BYTES];
};

static int damaged(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "a layer %s", what);
}

/* The next piece of the part, if the last one is used up. */
static int fill(struct source *s, struct err *e)
{
    uint64_t left = s->part.size - s->at;
    size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    if (s->used < s->have || want == 0)
        return 0;
    ssize_t n;
    do
        n = pread(s->part.fd, s->piece, want, (off_t)(s->part.offset + s->at));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(e, -errno, "read the archive");
    if (n == 0)
        return err_set(e, ERR_INVALID, "the archive is cut off");
    s->have = (size_t)n;
    s->used = 0;
    s->at += (uint64_t)n;
    if (s->part.digest)
        crypto_hash_sha256_update(&s->in, s->piece, s->have);
    return 0;
}

static int sniff(struct source *s, struct err *e)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    int r = fill(s, e);
    if (r < 0)
        return r;
    if (s->have >= 2 && s->piece[0] == 0x1f && s->piece[1] == 0x8b)
        s->form = FORM_GZIP;
    else if (s->have >= 4 && memcmp(s->piece, zstd, 4) == 0)
        s->form = FORM_ZSTD;
    if (s->form == FORM_GZIP) {
        s->has_z = inflateInit2(&s->z, GZIP_WINDOW_BITS) == Z_OK;
        return s->has_z ? 0 : err_errno(e, -ENOMEM, "read a layer");
    }
    if (s->form == FORM_ZSTD) {
        s->zstd = ZSTD_createDStream();
        if (!s->zstd)
            return err_errno(e, -ENOMEM, "read a layer");
        ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    }
    return 0;
}

int source_new(const struct source_part *part, struct source **ret, struct err *e)
{
    struct source *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "read a layer");
    s->part = *part;
    crypto_hash_sha256_init(&s->in);
    crypto_hash_sha256_init(&s->out);
    int r = sniff(s, e);
    if (r < 0) {
        source_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    if (s->has_z)
        inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    free(s);
}

uint64_t source_at(const struct source *s)
{
    return s->at;
}

static bool all_used(const struct source *s)
{
    return s->used == s->have && s->at == s->part.size;
}

static ssize_t read_plain(struct source *s, uint8_t *buf, size_t len)
{
    size_t n = s->have - s->used < len ? s->have - s->used : len;
    memcpy(buf, s->piece + s->used, n);
    s->used += n;
    s->ended = n == 0;
    return (ssize_t)n;
}

/* One member after the other, as gzip does it. */
static ssize_t read_gzip(struct source *s, uint8_t *buf, size_t len, struct err *e)
{
    s->z.next_in = s->piece + s->used;
    s->z.avail_in = (uInt)(s->have - s->used);
    s->z.next_out = buf;
    s->z.avail_out = (uInt)len;
    int z = inflate(&s->z, Z_NO_FLUSH);
    s->used = s->have - s->z.avail_in;
    size_t n = len - s->z.avail_out;
    if (z == Z_MEM_ERROR)
        return err_errno(e, -ENOMEM, "read a layer");
    if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
        return damaged(e, "is damaged: gzip");
    if (z == Z_STREAM_END)
        s->ended = all_used(s) || inflateReset(&s->z) != Z_OK;
    else if (n == 0 && all_used(s))
        return damaged(e, "is cut off: gzip");
    return (ssize_t)n;
}

static ssize_t read_zstd(struct source *s, uint8_t *buf, size_t len, struct err *e)
{
    ZSTD_inBuffer in = {s->piece, s->have, s->used};
    ZSTD_outBuffer out = {buf, len, 0};
    size_t r = ZSTD_decompressStream(s->zstd, &out, &in);
    if (ZSTD_isError(r))
        return damaged(e, "is damaged: zstd");
    s->used = in.pos;
    if (r == 0)
        s->ended = all_used(s);
    else if (out.pos == 0 && all_used(s))
        return damaged(e, "is cut off: zstd");
    return (ssize_t)out.pos;
}

static ssize_t read_some(struct source *s, uint8_t *buf, size_t len, struct err *e)
{
    int r = fill(s, e);
    if (r < 0)
        return r;
    ssize_t n = s->form == FORM_GZIP   ? read_gzip(s, buf, len, e)
                : s->form == FORM_ZSTD ? read_zstd(s, buf, len, e)
                                       : read_plain(s, buf, len);
    if (n <= 0)
        return n;
    s->unpacked += (uint64_t)n;
    if (s->unpacked > OCI_UNPACKED_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a layer unpacks to more than %llu GiB",
                       OCI_UNPACKED_MAX_BYTES >> 30);
    if (s->part.diff_id)
        crypto_hash_sha256_update(&s->out, buf, (unsigned long long)n);
    return n;
}

ssize_t source_read(struct source *s, void *buf, size_t len, struct err *e)
{
    size_t done = 0;
    while (done < len && !s->ended) {
        ssize_t n = read_some(s, (uint8_t *)buf + done, len - done, e);
        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int source_finish(struct source *s, struct err *e)
{
    uint8_t rest[16384], hash[SOURCE_DIGEST_BYTES];
    ssize_t n;
    while ((n = source_read(s, rest, sizeof(rest), e)) > 0)
        ;
    if (n < 0)
        return (int)n;
    while (!all_used(s)) {
        s->used = s->have;
        int r = fill(s, e);
        if (r < 0)
            return r;
    }
    crypto_hash_sha256_final(&s->in, hash);
    if (s->part.digest && memcmp(hash, s->part.digest, sizeof(hash)) != 0)
        return damaged(e, "is not what its digest says");
    crypto_hash_sha256_final(&s->out, hash);
    if (s->part.diff_id && memcmp(hash, s->part.diff_id, sizeof(hash)) != 0)
        return damaged(e, "is not what its diff_id says");
    return 0;
}

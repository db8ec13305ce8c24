/* SPDX-License-Identifier: Apache-2.0 */
#include "host/archive.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include "base/buf.h"
#include "wire/untar.h"

#define PIECE_BYTES ((size_t)64 * 1024)   /* unpacked at once */
#define PACKED_BYTES ((size_t)256 * 1024) /* packed anew at once */
#define GZIP_WINDOW_BITS (16 + 15)        /* zlib's way to say: gzip, and nothing else */

/* Headers, paddings and the zeros at the end, besides the contents: what unpacks to more is nothing
 * that anybody would pack. */
#define TAR_MAX_BYTES (ARCHIVE_UNPACKED_MAX_BYTES + ARCHIVE_ENTRIES_MAX * 4096ULL + 2 * MIB)

static int invalid(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "Invalid archive: %s", what);
}

/* --- gzip --- */

struct gunzip {
    z_stream z;
    uint8_t *piece;
    bool ended;
};

static void gunzip_done(struct gunzip *g)
{
    inflateEnd(&g->z);
    free(g->piece);
}

static int gunzip_init(struct gunzip *g, struct err *e)
{
    g->piece = malloc(PIECE_BYTES);
    if (!g->piece || inflateInit2(&g->z, GZIP_WINDOW_BITS) != Z_OK)
        return err_errno(e, -ENOMEM, "read the archive");
    return 0;
}

/* Unpacks the next piece of what z.next_in has: how many bytes. */
static ssize_t next_piece(struct gunzip *g, struct err *e)
{
    g->z.next_out = g->piece;
    g->z.avail_out = PIECE_BYTES;
    int z = inflate(&g->z, Z_NO_FLUSH);
    g->ended = z == Z_STREAM_END;
    if (z == Z_MEM_ERROR)
        return err_errno(e, -ENOMEM, "read the archive");
    /* Z_BUF_ERROR: more must come first. */
    if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
        return invalid(e, g->z.total_out ? "its compressed data is damaged" : "it is no gzip");
    return (ssize_t)(PIECE_BYTES - g->z.avail_out);
}

/* Reads some of the compressed bytes into `u`. */
static int read_some(struct gunzip *g, struct untar *u, const void *data, size_t len, struct err *e)
{
    g->z.next_in = (uint8_t *)data;
    g->z.avail_in = (uInt)len;
    while (!g->ended) {
        ssize_t n = next_piece(g, e);
        int r = n < 0 ? (int)n : untar_feed(u, g->piece, (size_t)n, e);
        if (r < 0)
            return r;
        if (g->z.total_out > TAR_MAX_BYTES)
            return err_set(e, ERR_TOO_LARGE, "Archive unpacks to too much");
        if (g->z.avail_out > 0)
            break;
    }
    return g->z.avail_in ? invalid(e, "something follows its end") : 0;
}

static int read_end(const struct gunzip *g, struct untar *u, struct err *e)
{
    if (!g->ended)
        return invalid(e, g->z.total_in ? "it is cut off" : "it is empty");
    return untar_finish(u, e);
}

/* --- looking --- */

struct name {
    size_t at; /* in check.names */
    bool is_dir;
};

struct check {
    size_t name_max;
    size_t entries;
    uint64_t bytes;
    struct buf names; /* each with its NUL */
    struct buf list;  /* of struct name */
};

static int check_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    struct check *c = arg;
    struct name name = {.at = c->names.len, .is_dir = en->type == USTAR_DIR};
    if (++c->entries > ARCHIVE_ENTRIES_MAX)
        return err_set(e, ERR_TOO_LARGE, "Archive has more than %d entries", ARCHIVE_ENTRIES_MAX);
    if (en->size > ARCHIVE_UNPACKED_MAX_BYTES - c->bytes)
        return err_set(e, ERR_TOO_LARGE, "Archive unpacks to more than %llu bytes",
                       ARCHIVE_UNPACKED_MAX_BYTES);
    c->bytes += en->size;
    if (strlen(en->name) > c->name_max)
        return invalid(e, "a name is too long for where it goes");
    int r = buf_append(&c->names, en->name, strlen(en->name) + 1);
    if (r == -E2BIG)
        return err_set(e, ERR_TOO_LARGE, "Archive has names of more than %llu bytes together",
                       ARCHIVE_NAMES_MAX_BYTES);
    r = r < 0 ? r : buf_append(&c->list, &name, sizeof(name));
    return r < 0 ? err_errno(e, r, "read the archive") : 0;
}

static int check_content(void *arg, const void *data, size_t len, struct err *e)
{
    return 0;
}

static int check_end(void *arg, struct err *e)
{
    return 0;
}

static const struct untar_ops check_ops = {check_entry, check_content, check_end};

/* The end before a slash before all else, so that what is below a name comes right behind it. */
static int rank(char c)
{
    return c == '\0' ? 0 : c == '/' ? 1 : 2 + (unsigned char)c;
}

static int compare_names(const void *a, const void *b, void *arg)
{
    const char *names = arg;
    const char *x = names + ((const struct name *)a)->at, *y = names + ((const struct name *)b)->at;
    while (*x && *x == *y) {
        x++;
        y++;
    }
    return rank(*x) - rank(*y);
}

/* A name cannot be both a file and a directory: unpacking would fail half way. The same name twice
 * is fine, the last one counts, as with every tar. */
static int check_conflicts(struct check *c, struct err *e)
{
    struct name *list = (struct name *)(void *)c->list.data;
    size_t n = c->list.len / sizeof(*list);
    if (n == 0)
        return 0;
    qsort_r(list, n, sizeof(*list), compare_names, c->names.data);
    for (size_t i = 0; i + 1 < n; i++) {
        const char *name = c->names.data + list[i].at, *next = c->names.data + list[i + 1].at;
        size_t len = strlen(name);
        bool is_same = strcmp(name, next) == 0;
        bool is_below = strncmp(name, next, len) == 0 && next[len] == '/';
        if ((is_same && list[i].is_dir != list[i + 1].is_dir) || (is_below && !list[i].is_dir))
            return invalid(e, "a name is both a file's and a directory's");
    }
    return 0;
}

/* --- holding --- */

struct archive {
    uint8_t *data; /* a mapping of ARCHIVE_MAX_BYTES, of which only what is used exists */
    size_t len;
    size_t charged; /* of held_bytes */
    struct gunzip gunzip;
    struct untar untar;
    struct check check;
};

/* Of all archives: many clients that send slowly must not add up. */
static atomic_size_t held_bytes;

int archive_new(size_t dest_bytes, struct archive **ret, struct err *e)
{
    size_t most = UNTAR_NAME_SIZE - 1;
    auto_archive struct archive *a = calloc(1, sizeof(*a));
    if (!a)
        return err_errno(e, -ENOMEM, "take an archive");
    a->check.name_max = most > dest_bytes + 1 ? most - dest_bytes - 1 : 0;
    a->check.names.max_bytes = ARCHIVE_NAMES_MAX_BYTES;
    a->untar.ops = &check_ops;
    a->untar.arg = &a->check;
    /* Its own mapping goes back to the system when it ends; malloc would keep some of them. */
    void *p = mmap(NULL, ARCHIVE_MAX_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return err_errno(e, -errno, "take an archive");
    a->data = p;
    int r = gunzip_init(&a->gunzip, e);
    if (r == 0)
        *ret = TAKE_PTR(a);
    return r;
}

void archive_free(struct archive *a)
{
    if (!a)
        return;
    if (a->data)
        munmap(a->data, ARCHIVE_MAX_BYTES);
    gunzip_done(&a->gunzip);
    untar_done(&a->untar);
    buf_done(&a->check.names);
    buf_done(&a->check.list);
    atomic_fetch_sub(&held_bytes, a->charged);
    free(a);
}

/* With the names, of which a few KiB can be compressed to next to nothing. */
static int charge(struct archive *a, struct err *e)
{
    size_t now = a->len + a->check.names.len + a->check.list.len, more = now - a->charged;
    a->charged = now;
    if (atomic_fetch_add(&held_bytes, more) + more <= ARCHIVES_MAX_BYTES)
        return 0;
    return err_set(e, ERR_FULL, "too many uploads at this moment");
}

int archive_add(struct archive *a, const void *data, size_t len, struct err *e)
{
    if (len > ARCHIVE_MAX_BYTES - a->len)
        return err_set(e, ERR_TOO_LARGE, "Body too large");
    memcpy(a->data + a->len, data, len);
    a->len += len;
    int r = read_some(&a->gunzip, &a->untar, data, len, e);
    return r < 0 ? r : charge(a, e);
}

int archive_finish(struct archive *a, struct err *e)
{
    int r = read_end(&a->gunzip, &a->untar, e);
    return r < 0 ? r : check_conflicts(&a->check, e);
}

/* --- packing anew --- */

struct repack {
    const struct archive_sink *sink;
    struct buf out;
    uint64_t size; /* of the entry at hand */
};

static int pass_on(struct repack *p, size_t from_bytes, struct err *e)
{
    if (p->out.failed)
        return err_errno(e, -ENOMEM, "pack the archive");
    if (p->out.len < from_bytes)
        return 0;
    int r = p->out.len ? p->sink->write(p->sink->arg, p->out.data, p->out.len, e) : 0;
    buf_clear(&p->out);
    return r;
}

static int repack_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    struct repack *p = arg;
    struct ustar_entry clean = *en;
    clean.mode = (en->mode & 0777) | (en->type == USTAR_DIR ? 0700 : 0600);
    p->size = en->size;
    /* The directory itself is made, or stays as it is. */
    if (en->name[0])
        ustar_put(&p->out, &clean);
    return pass_on(p, PACKED_BYTES, e);
}

static int repack_content(void *arg, const void *data, size_t len, struct err *e)
{
    struct repack *p = arg;
    buf_append(&p->out, data, len);
    return pass_on(p, PACKED_BYTES, e);
}

static int repack_end(void *arg, struct err *e)
{
    struct repack *p = arg;
    ustar_put_zeros(&p->out, ustar_padding(p->size));
    return pass_on(p, PACKED_BYTES, e);
}

int archive_repack(const struct archive *a, const struct archive_sink *sink, struct err *e)
{
    static const struct untar_ops ops = {repack_entry, repack_content, repack_end};
    struct repack p = {.sink = sink};
    struct untar u = {.ops = &ops, .arg = &p};
    struct gunzip g = {0};
    int r = gunzip_init(&g, e);
    r = r < 0 ? r : read_some(&g, &u, a->data, a->len, e);
    r = r < 0 ? r : read_end(&g, &u, e);
    if (r == 0) {
        ustar_put_zeros(&p.out, 2 * USTAR_BLOCK_BYTES);
        r = pass_on(&p, 0, e);
    }
    gunzip_done(&g);
    untar_done(&u);
    buf_done(&p.out);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* No state but files. What a URL allows stands in its query and is signed; whose object it is
 * stands in the object's id: its last 8 characters are a signature of the account and the 12
 * random ones before. 41 bits are enough for that: to try one costs a URL that was signed for it.
 *
 * An upload is written into a file without a name, which is gone with the daemon that wrote it. It
 * gets a name beside the object's and is renamed over it, so that readers of an older one keep
 * theirs. */

#include "host/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"

#define RANDOM_CHARS 12
#define OWNER_CHARS (ID_LEN - RANDOM_CHARS)
#define MAC_BYTES crypto_auth_hmacsha256_BYTES
#define NS_IN_S 1000000000LL

static const char key_name[] = "key";

struct staging {
    int dir_fd;
    unsigned char key[crypto_auth_hmacsha256_KEYBYTES];
};

/* ---- start and end ---- */

static int read_key(struct staging *s, const char *path, struct err *e)
{
    auto_buf struct buf b = {0};
    int r = file_read(path, &b, 2 * sizeof(s->key));
    if (r == 0 && b.len == sizeof(s->key)) {
        memcpy(s->key, b.data, sizeof(s->key));
        sodium_memzero(b.data, b.len);
        return 0;
    }
    if (r < 0 && r != -ENOENT)
        return err_errno(e, r, "read %s", path);
    /* Also in place of a damaged one: the URLs that are lost would not have lived for long. */
    crypto_auth_hmacsha256_keygen(s->key);
    r = file_write_atomic(path, s->key, sizeof(s->key), 0600);
    return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

DEFINE_AUTO(struct staging *, staging_free)

int staging_new(const char *dir, struct staging **ret, struct err *e)
{
    char path[PATH_MAX];
    if (sodium_init() < 0)
        return err_set(e, ERR_INTERNAL, "libsodium cannot be used");
    int r = dir_make(dir, 0700);
    if (r == 0)
        r = path_printf(path, sizeof(path), "%s/%s", dir, key_name);
    if (r < 0)
        return err_errno(e, r, "make %s", dir);
    CLEANUP(staging_freep) struct staging *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "staging");
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0)
        return err_errno(e, -errno, "open %s", dir);
    r = read_key(s, path, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

void staging_free(struct staging *s)
{
    if (!s)
        return;
    cleanup_close(&s->dir_fd);
    sodium_memzero(s->key, sizeof(s->key));
    free(s);
}

/* ---- signatures ---- */

static void sign(const struct staging *s, const char *text, unsigned char ret[MAC_BYTES])
{
    crypto_auth_hmacsha256(ret, (const unsigned char *)text, strlen(text), s->key);
}

/* The last characters of an object's id. */
static void owner_mark(const struct staging *s, const char *account, const char *random,
                       char ret[OWNER_CHARS])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char text[128];
    unsigned char mac[MAC_BYTES];
    uint64_t n;
    snprintf(text, sizeof(text), "owner\n%s\n%.*s", account, RANDOM_CHARS, random);
    sign(s, text, mac);
    memcpy(&n, mac, sizeof(n));
    for (int i = 0; i < OWNER_CHARS; i++, n /= 36)
        ret[i] = digits[n % 36];
}

/* What a URL allows. */
struct claim {
    bool upload;
    const char *object;
    uint64_t max_bytes; /* 0 for downloads */
    int64_t expires_s;
};

/* Everything that follows the "?". */
static void make_query(const struct staging *s, const struct claim *c, char ret[STAGING_QUERY_SIZE])
{
    char text[160], hex[2 * MAC_BYTES + 1];
    unsigned char mac[MAC_BYTES];
    snprintf(text, sizeof(text), "%s\n%s\n%llu\n%lld", c->upload ? "upload" : "download", c->object,
             (unsigned long long)c->max_bytes, (long long)c->expires_s);
    sign(s, text, mac);
    sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    snprintf(ret, STAGING_QUERY_SIZE, "max=%llu&expires=%lld&signature=%s",
             (unsigned long long)c->max_bytes, (long long)c->expires_s, hex);
}

int staging_sign(struct staging *s, const char *account, uint64_t max_bytes,
                 struct staging_ticket *ret, struct err *e)
{
    int64_t expires_s = clock_real_ns() / NS_IN_S + STAGING_URL_S;
    struct staging_ticket t = {.expires_s = STAGING_URL_S};
    id_new(t.object);
    owner_mark(s, account, t.object, t.object + RANDOM_CHARS);
    make_query(s, &(struct claim){true, t.object, max_bytes, expires_s}, t.upload_query);
    make_query(s, &(struct claim){false, t.object, 0, expires_s}, t.download_query);
    *ret = t;
    return 0;
}

static int bad_url(struct err *e)
{
    return err_set(e, ERR_FORBIDDEN, "the signature of this URL is not valid");
}

/* One "name=digits&". */
static bool take_number(const char **p, const char *name, uint64_t *ret)
{
    size_t n = strlen(name);
    if (strncmp(*p, name, n) != 0 || (*p)[n] < '0' || (*p)[n] > '9')
        return false;
    char *end;
    errno = 0;
    *ret = strtoull(*p + n, &end, 10);
    *p = end + 1;
    return !errno && *end == '&';
}

int staging_check(struct staging *s, bool upload, const char *object, const char *query,
                  uint64_t *ret_max_bytes, struct err *e)
{
    uint64_t max_bytes, expires_s;
    const char *p = query;
    char want[STAGING_QUERY_SIZE];
    if (!id_valid(object) || !take_number(&p, "max=", &max_bytes) ||
        !take_number(&p, "expires=", &expires_s) || expires_s > INT64_MAX)
        return bad_url(e);
    /* The only query that says this; anything else spells it otherwise or is not ours. */
    make_query(s, &(struct claim){upload, object, max_bytes, (int64_t)expires_s}, want);
    size_t len = strlen(want);
    if (strlen(query) != len || sodium_memcmp(query, want, len) != 0)
        return bad_url(e);
    if (clock_real_ns() / NS_IN_S >= (int64_t)expires_s)
        return err_set(e, ERR_FORBIDDEN, "this URL has expired: presign another one");
    if (ret_max_bytes)
        *ret_max_bytes = max_bytes;
    return 0;
}

static int no_object(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "nothing was uploaded here, or it is more than a day ago");
}

int staging_check_owner(struct staging *s, const char *account, const char *object, struct err *e)
{
    char mark[OWNER_CHARS];
    if (!id_valid(object))
        return no_object(e);
    owner_mark(s, account, object, mark);
    return sodium_memcmp(mark, object + RANDOM_CHARS, OWNER_CHARS) == 0 ? 0 : no_object(e);
}

/* ---- files ---- */

static int check_room(struct staging *s, struct err *e)
{
    struct statvfs st;
    if (fstatvfs(s->dir_fd, &st) < 0)
        return err_errno(e, -errno, "look at the staging directory");
    if ((unsigned long long)st.f_bavail * st.f_frsize >= STAGING_FREE_MIN_BYTES)
        return 0;
    err_set(e, ERR_FULL, "the host's disk is nearly full: no file can be staged");
    if (e)
        e->retry_after_s = STAGING_RETRY_S;
    return -EAGAIN;
}

int staging_create(struct staging *s, int *ret_fd, struct err *e)
{
    int r = check_room(s, e);
    if (r < 0)
        return r;
    int fd = openat(s->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, -errno, "make a staging file");
    *ret_fd = fd;
    return 0;
}

int staging_commit(struct staging *s, const char *object, int fd, struct err *e)
{
    char from[64], fresh[ID_SIZE + 8], id[ID_SIZE];
    if (!id_valid(object))
        return no_object(e);
    id_new(id);
    snprintf(fresh, sizeof(fresh), ".new-%s", id);
    snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, from, s->dir_fd, fresh, AT_SYMLINK_FOLLOW) < 0)
        return err_errno(e, -errno, "name a staging file");
    if (renameat(s->dir_fd, fresh, s->dir_fd, object) == 0)
        return 0;
    int r = -errno;
    unlinkat(s->dir_fd, fresh, 0);
    return err_errno(e, r, "name a staging file");
}

int staging_open(struct staging *s, const char *object, int *ret_fd, uint64_t *ret_bytes,
                 struct err *e)
{
    struct stat st;
    if (!id_valid(object))
        return no_object(e);
    auto_close int fd = openat(s->dir_fd, object, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return no_object(e);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, -errno, "open a staging file");
    *ret_bytes = (uint64_t)st.st_size;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* An upload may come at the end of its URL's life, so what is kept less long is gone a day after
 * it was signed. */
static bool is_old(const struct stat *st, int64_t now_s)
{
    return st->st_mtim.tv_sec <= now_s - (STAGING_KEEP_S - STAGING_URL_S);
}

void staging_sweep(struct staging *s)
{
    int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        log_warn("staging", "not swept: %s", strerror(errno));
        cleanup_close(&fd);
        return;
    }
    int64_t now_s = clock_real_ns() / NS_IN_S;
    struct stat st;
    for (struct dirent *de; (de = readdir(d));) {
        if (strcmp(de->d_name, key_name) == 0 ||
            fstatat(s->dir_fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(st.st_mode) && is_old(&st, now_s))
            unlinkat(s->dir_fd, de->d_name, 0);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/web.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define PATH_SIZE 512
#define INDEX "index.html"

struct web {
    struct web_file files[WEB_FILES_MAX]; /* sorted by path once all are there */
    size_t n;
    uint64_t bytes;
};

DEFINE_AUTO(struct web *, web_free)

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".ico", "image/x-icon"},
        {".woff", "font/woff"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/plain; charset=utf-8"},
        {".xml", "application/xml"},
        {".wasm", "application/wasm"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++) {
        if (strcasecmp(dot, types[i][0]) == 0)
            return types[i][1];
    }
    return "application/octet-stream";
}

/* FNV-1a: it only has to differ when the contents do. */
static void make_etag(struct web_file *f)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < f->len; i++)
        h = (h ^ (unsigned char)f->data[i]) * 0x100000001b3u;
    snprintf(f->etag, sizeof(f->etag), "\"%016" PRIx64 "-%zx\"", h, f->len);
}

/* ---- reading ---- */

static int read_one(struct web *w, int fd, const char *path, struct err *e)
{
    struct web_file *f = &w->files[w->n];
    auto_buf struct buf b = {0};
    if (w->n == WEB_FILES_MAX)
        return err_set(e, ERR_TOO_LARGE, "there are more than %d files", WEB_FILES_MAX);
    int r = fd_slurp(fd, &b, WEB_FILE_MAX_BYTES);
    w->bytes += b.len;
    if (r == -E2BIG || w->bytes > WEB_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "%s: a file has at most %llu bytes, and all together %llu",
                       path, WEB_FILE_MAX_BYTES, WEB_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read %s", path);
    *f = (struct web_file){.len = b.len, .type = type_of(path)};
    f->data = buf_take(&b);
    f->path = strdup(path);
    f->is_immutable = strncmp(path, "/assets/", 8) == 0;
    w->n++;
    if (!f->path)
        return err_errno(e, -ENOMEM, "read %s", path);
    make_etag(f);
    return 0;
}

static int read_dir(struct web *w, int fd, const char *path, struct err *e);

/* `path` is where it will be asked for. */
static int read_entry(struct web *w, int dir, const char *name, const char *path, struct err *e)
{
    auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 && errno == ELOOP)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, -errno, "open %s", path);
    if (S_ISDIR(st.st_mode))
        return read_dir(w, TAKE_FD(fd), path, e);
    return S_ISREG(st.st_mode) ? read_one(w, fd, path, e) : 0;
}

/* Takes `fd`. The depth is bounded by the length of paths. */
static int read_dir(struct web *w, int fd, const char *path, struct err *e)
{
    auto_closedir DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return err_errno(e, -errno, "read the directory %s", path);
    }
    struct dirent *entry;
    int r = 0;
    while (r == 0 && (entry = readdir(d))) {
        char inner[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        if (path_printf(inner, sizeof(inner), "%s/%s", path, entry->d_name) < 0)
            return err_set(e, ERR_TOO_LARGE, "%s/%s: the name is too long", path, entry->d_name);
        r = read_entry(w, dirfd(d), entry->d_name, inner, e);
    }
    return r;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct web_file *)a)->path, ((const struct web_file *)b)->path);
}

static struct web_file *lookup(const struct web *w, const char *path)
{
    const struct web_file key = {.path = (char *)path};
    return bsearch(&key, w->files, w->n, sizeof(w->files[0]), compare);
}

static void file_done(struct web_file *f)
{
    free(f->path);
    free(f->data);
    free(f->gzip);
}

/* Among the first `n` files, which are sorted. */
static struct web_file *find_before(struct web *w, size_t n, const char *path)
{
    while (n && strcmp(w->files[n - 1].path, path) > 0)
        n--;
    return n && strcmp(w->files[n - 1].path, path) == 0 ? &w->files[n - 1] : NULL;
}

/* Each FILE.gz becomes a variant of FILE, which sorts before it; one without FILE stays a file. */
static void join_gzips(struct web *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct web_file f = w->files[i], *of = NULL;
        char path[PATH_SIZE];
        size_t n = strlen(f.path);
        snprintf(path, sizeof(path), "%.*s", n > 3 ? (int)n - 3 : 0, f.path);
        if (n > 3 && strcmp(f.path + n - 3, ".gz") == 0)
            of = find_before(w, kept, path);
        if (of) {
            of->gzip = TAKE_PTR(f.data);
            of->gzip_len = f.len;
            file_done(&f);
        } else {
            w->files[kept++] = f;
        }
    }
    w->n = kept;
}

int web_new(const char *dir, struct web **ret, struct err *e)
{
    CLEANUP(web_freep) struct web *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(e, -ENOMEM, "read %s", dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: %s", dir, strerror(errno));
    int r = read_dir(w, fd, "", e);
    if (r < 0)
        return err_wrap(e, r, "%s", dir);
    qsort(w->files, w->n, sizeof(w->files[0]), compare);
    join_gzips(w);
    if (!lookup(w, "/" INDEX))
        return err_set(e, ERR_NOT_FOUND, "%s has no " INDEX, dir);
    *ret = TAKE_PTR(w);
    return 0;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        file_done(&w->files[i]);
    free(w);
}

size_t web_count(const struct web *w)
{
    return w->n;
}

/* ---- finding ---- */

static bool is_api(const char *path)
{
    static const char *const prefixes[] = {
        "/v1/",        "/api/",    "/rds/",    "/native/", "/auth/",
        "/freestyle/", "/openapi", "/metrics", "/health",  "/assets/",
    };
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

/* index.html of a directory, of whose path `len` bytes are given, up to its last "/". */
static const struct web_file *index_of(const struct web *w, const char *path, size_t len)
{
    char full[PATH_SIZE];
    if (path_printf(full, sizeof(full), "%.*s" INDEX, (int)len, path) < 0)
        return NULL;
    return lookup(w, full);
}

static bool find_above(const struct web *w, const char *path, struct web_found *ret)
{
    for (size_t n = strlen(path); n; n--) {
        if (path[n - 1] == '/')
            ret->file = index_of(w, path, n);
        if (ret->file)
            return true;
    }
    return false;
}

bool web_find(const struct web *w, const char *path, bool accepts_html, struct web_found *ret)
{
    char slashed[PATH_SIZE];
    *ret = (struct web_found){0};
    size_t n = strlen(path);
    if (!w || path[0] != '/' || n >= PATH_SIZE - sizeof(INDEX) - 1)
        return false;
    if (strcmp(path, "/") != 0) {
        ret->file = lookup(w, path);
        if (!ret->file && path[n - 1] == '/')
            ret->file = index_of(w, path, n);
        if (ret->file)
            return true;
        snprintf(slashed, sizeof(slashed), "%s/", path);
        ret->file = index_of(w, slashed, n + 1);
        ret->is_directory = ret->file;
        if (ret->file)
            return true;
    }
    return accepts_html && !is_api(path) && find_above(w, path, ret);
}

/* ---- headers of requests ---- */

bool web_etag_matches(const struct web_file *f, const char *if_none_match)
{
    size_t len = strlen(f->etag) - 1; /* without the closing quote */
    for (const char *p = if_none_match; p && *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ",");
        while (n && isspace((unsigned char)p[n - 1]))
            n--;
        const char *tag = n > 2 && strncmp(p, "W/", 2) == 0 ? p + 2 : p;
        size_t tag_len = n - (size_t)(tag - p);
        if (n == 1 && *p == '*')
            return true;
        if (tag_len > len && strncmp(tag, f->etag, len) == 0 &&
            (strncmp(tag + len, "\"", tag_len - len) == 0 ||
             strncmp(tag + len, "-gz\"", tag_len - len) == 0))
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

/* "gzip;q=0" forbids it. */
static bool is_refused(const char *parameters, size_t len)
{
    const char *q = memmem(parameters, len, "q=", 2);
    return q && strtod(q + 2, NULL) <= 0;
}

bool web_accepts_gzip(const char *accept_encoding)
{
    for (const char *p = accept_encoding; p && *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ","), word = strcspn(p, ",; \t");
        if ((word == 4 && strncasecmp(p, "gzip", 4) == 0) || (word == 1 && *p == '*'))
            return !is_refused(p + word, n - word);
        p += n;
    }
    return false;
}

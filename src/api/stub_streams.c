/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's files, terminals and consoles: streams over memory. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_host.h"
#include "api/stub_vms.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/vms_guest.h"

enum use { USE_READ, USE_WRITE, USE_TAR_WRITE, USE_BLOCK, USE_TERMINAL, USE_CONSOLE };

struct vm_stream {
    enum use use;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf data; /* to be read, or written so far */
    bool is_shut, is_over;
    char path[256];
    char vm[ID_SIZE];
    unsigned mode;
    struct exec_exit exit;
};

/* The one file of all guests that can be written: whose, where, what. */
#define FILES_MAX 16
static struct file {
    char vm[ID_SIZE], path[256];
    struct buf data;
    unsigned mode;
    bool is_tar;
} files[FILES_MAX];
static size_t n_files;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

void stub_guest_reset(void)
{
    for (size_t i = 0; i < n_files; i++)
        buf_done(&files[i].data);
    n_files = 0;
    stub_jobs_reset();
}

/* ---- streams ---- */

static struct vm_stream *stream_new(enum use use, const char *vm, const char *path)
{
    struct vm_stream *s = calloc(1, sizeof(*s));
    s->use = use;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    snprintf(s->vm, sizeof(s->vm), "%s", vm);
    snprintf(s->path, sizeof(s->path), "%s", path);
    return s;
}

static bool blocks(const struct vm_stream *s)
{
    return s->use == USE_BLOCK || s->use == USE_TERMINAL || s->use == USE_CONSOLE;
}

ssize_t vm_stream_read(struct vm_stream *s, void *buf, size_t max, struct err *e)
{
    AUTO_LOCK(&s->lock);
    if (s->use == USE_BLOCK)
        sem_post(&stub_started);
    while (blocks(s) && !s->data.len && !s->is_shut && !s->is_over)
        pthread_cond_wait(&s->changed, &s->lock);
    if (s->is_shut) {
        if (s->use == USE_BLOCK)
            sem_post(&stub_cancelled);
        err_set(e, ERR_UNAVAILABLE, "shut down");
        return -ECANCELED;
    }
    size_t n = s->data.len < max ? s->data.len : max;
    if (n)
        memcpy(buf, s->data.data, n);
    buf_consume(&s->data, n);
    return (ssize_t)n;
}

/* Terminals print what they get; a console answers each message. */
static int talk(struct vm_stream *s, const char *data, size_t len)
{
    if (s->is_over)
        return -EPIPE;
    if (s->use == USE_CONSOLE)
        buf_append_str(&s->data, "console: ");
    buf_append(&s->data, data, len);
    if (s->use == USE_TERMINAL && len >= 4 && memcmp(data, "exit", 4) == 0) {
        s->is_over = true;
        s->exit.code = 7;
    }
    pthread_cond_broadcast(&s->changed);
    return 0;
}

int vm_stream_write(struct vm_stream *s, const void *data, size_t len, struct err *e)
{
    AUTO_LOCK(&s->lock);
    if (s->use == USE_BLOCK)
        sem_post(&stub_started);
    while (s->use == USE_BLOCK && !s->is_shut)
        pthread_cond_wait(&s->changed, &s->lock);
    if (s->is_shut) {
        sem_post(&stub_cancelled);
        err_set(e, ERR_UNAVAILABLE, "shut down");
        return -ECANCELED;
    }
    if (strcmp(s->path, "/full") == 0)
        return err_set(e, ERR_TOO_LARGE, "the guest's disk is full");
    int r = blocks(s) ? talk(s, data, len) : buf_append(&s->data, data, len);
    return r < 0 ? err_set(e, ERR_UNAVAILABLE, "it has ended") : 0;
}

static void store_file(struct vm_stream *s)
{
    AUTO_LOCK(&files_lock);
    struct file *f = NULL;
    for (size_t i = 0; i < n_files; i++) {
        if (strcmp(files[i].path, s->path) == 0 && strcmp(files[i].vm, s->vm) == 0)
            f = &files[i];
    }
    if (!f)
        f = &files[n_files++];
    buf_done(&f->data);
    f->data = s->data;
    s->data = (struct buf){0};
    f->mode = s->mode;
    f->is_tar = s->use == USE_TAR_WRITE;
    strcpy(f->path, s->path);
    strcpy(f->vm, s->vm);
}

int vm_stream_finish(struct vm_stream *s, struct err *e)
{
    AUTO_LOCK(&s->lock);
    if (strcmp(s->path, "/readonly") == 0)
        return err_set(e, ERR_CONFLICT, "the file system is read-only");
    if (s->use == USE_WRITE || s->use == USE_TAR_WRITE)
        store_file(s);
    return 0;
}

int vm_stream_resize(struct vm_stream *s, int rows, int cols, struct err *e)
{
    char text[64];
    snprintf(text, sizeof(text), "[%dx%d]", cols, rows);
    AUTO_LOCK(&s->lock);
    return talk(s, text, strlen(text));
}

void vm_stream_exit(const struct vm_stream *s, struct exec_exit *ret)
{
    *ret = s->exit;
}

void vm_stream_shutdown(struct vm_stream *s)
{
    AUTO_LOCK(&s->lock);
    s->is_shut = true;
    pthread_cond_broadcast(&s->changed);
}

void vm_stream_free(struct vm_stream *s)
{
    if (!s)
        return;
    buf_done(&s->data);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- files ---- */

static struct file *find_file(const char *vm, const char *path)
{
    for (size_t i = 0; i < n_files; i++) {
        if (strcmp(files[i].path, path) == 0 && strcmp(files[i].vm, vm) == 0)
            return &files[i];
    }
    return NULL;
}

static int no_file(const char *path, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%.100s: no such file or directory", path);
}

int host_vm_stat(struct host *h, const char *account, const char *id, const char *path,
                 struct guest_stat *ret, struct err *e)
{
    static const struct {
        const char *path;
        enum guest_file_type type;
    } special[] = {{"/dir", GUEST_DIR},   {"/link", GUEST_LINK}, {"/dirlink", GUEST_LINK},
                   {"/dev", GUEST_OTHER}, {"/proc", GUEST_FILE}, {"/block", GUEST_FILE}};
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    *ret = (struct guest_stat){.mode = 0644, .uid = 1000, .gid = 100, .mtime_ms = 1700000000123};
    for (size_t i = 0; i < ARRAY_SIZE(special); i++) {
        if (strcmp(special[i].path, path) == 0) {
            ret->type = special[i].type;
            return 0;
        }
    }
    AUTO_LOCK(&files_lock);
    const struct file *f = find_file(id, path);
    if (!f)
        return no_file(path, e);
    ret->size = (int64_t)f->data.len;
    ret->mode = f->mode;
    return 0;
}

int host_vm_list_dir(struct host *h, const char *account, const char *id, const char *path,
                     json_t **ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    if (strcmp(path, "/dir") != 0 && strcmp(path, "/") != 0)
        return no_file(path, e);
    *ret = json_pack("[{s:s, s:s, s:i, s:i, s:i, s:i, s:I}]", "name", "a b", "type", "file", "size",
                     5, "mode", 0755, "uid", 1, "gid", 2, "mtime_ms", (json_int_t)1700000000123);
    return 0;
}

int host_vm_remove(struct host *h, const char *account, const char *id, const char *path,
                   struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&files_lock);
    struct file *f = find_file(id, path);
    if (!f)
        return no_file(path, e);
    buf_done(&f->data);
    *f = files[--n_files];
    return 0;
}

int host_vm_file_read(struct host *h, const char *account, const char *id,
                      const struct guest_range *g, struct vm_stream **ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    if (strcmp(g->path, "/dirlink") == 0)
        return err_set(e, ERR_CONFLICT, "it is no file");
    struct vm_stream *s =
        stream_new(strcmp(g->path, "/block") == 0 ? USE_BLOCK : USE_READ, id, g->path);
    AUTO_LOCK(&files_lock);
    const struct file *f = find_file(id, g->path);
    if (f) {
        size_t left = f->data.len - (size_t)g->offset;
        buf_append(&s->data, f->data.data + g->offset,
                   g->length < 0 || (size_t)g->length > left ? left : (size_t)g->length);
    } else if (s->use == USE_READ) {
        buf_append_str(&s->data, "what it says");
    }
    *ret = s;
    return 0;
}

int host_vm_file_write(struct host *h, const char *account, const char *id,
                       const struct guest_file *f, struct vm_stream **ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    *ret = stream_new(strcmp(f->path, "/block") == 0 ? USE_BLOCK : USE_WRITE, id, f->path);
    (*ret)->mode = f->mode;
    return 0;
}

int host_vm_tar_read(struct host *h, const char *account, const char *id, const char *path,
                     struct vm_stream **ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    *ret = stream_new(USE_READ, id, path);
    buf_printf(&(*ret)->data, "tar of %s", path);
    return 0;
}

int host_vm_tar_write(struct host *h, const char *account, const char *id, const char *path,
                      struct vm_stream **ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0)
        *ret = stream_new(USE_TAR_WRITE, id, path);
    return r;
}

/* "/workspace/PATH", as the guest's path would be. */
static void tree_path(const struct guest_tree *t, char ret[256])
{
    snprintf(ret, 256, "%s%s%s", t->root, t->path[0] ? "/" : "", t->path);
}

int host_vm_pack(struct host *h, const char *account, const char *id, const struct guest_tree *t,
                 struct vm_stream **ret, struct err *e)
{
    char path[256];
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    tree_path(t, path);
    if (strcmp(t->path, "link") == 0)
        return err_set(e, ERR_INVALID, "link: a symbolic link, which is not followed");
    AUTO_LOCK(&files_lock);
    const struct file *f = find_file(id, path);
    if (!f)
        return no_file(path, e);
    *ret = stream_new(USE_READ, id, path);
    buf_append(&(*ret)->data, f->data.data, f->data.len);
    return 0;
}

int host_vm_unpack(struct host *h, const char *account, const char *id, const struct guest_tree *t,
                   struct vm_stream **ret, struct err *e)
{
    char path[256];
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    tree_path(t, path);
    *ret = stream_new(USE_TAR_WRITE, id, strcmp(t->path, "full") == 0 ? "/full" : path);
    return 0;
}

int host_vm_forward_staging(struct host *h, const char *account, const char *id,
                            const char *address, int port, struct err *e)
{
    return 0;
}

/* ---- terminals ---- */

int host_vm_terminal(struct host *h, const char *account, const char *id,
                     const struct vm_terminal *t, struct vm_stream **ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    *ret = stream_new(USE_TERMINAL, id, "");
    buf_printf(&(*ret)->data, "%dx%d %s %s$ ", t->cols, t->rows, t->user ? t->user : "root",
               t->n_argv ? t->argv[0] : "login");
    return 0;
}

int host_vm_console(struct host *h, const char *account, const char *id, struct vm_stream **ret,
                    struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0)
        *ret = stream_new(USE_CONSOLE, id, "");
    return r;
}

int host_vm_console_log(struct host *h, const char *account, const char *id, struct buf *ret,
                        struct err *e)
{
    int r = stub_running(account, id, e);
    return r < 0 ? r : buf_append(ret, "one\ntwo \xff\nthree\n", 16);
}

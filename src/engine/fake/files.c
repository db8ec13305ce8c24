/* SPDX-License-Identifier: Apache-2.0 */

/* An entry of the log: 4 bytes length of the name, 4 bytes length of the data, both; native byte
 * order, since it never leaves the machine. */

#include "engine/fake/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"

struct file {
    char *name;
    char *data; /* one more byte, NUL */
    size_t len;
};

struct files {
    int log_fd;
    struct file list[FILES_MAX];
    size_t n;
    size_t bytes;
};

static struct file *find(const struct files *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->list[i].name, name) == 0)
            return (struct file *)&f->list[i];
    return NULL;
}

static int store(struct files *f, const char *name, size_t name_len, const void *data, size_t len)
{
    auto_free char *own_name = strndup(name, name_len);
    auto_free char *own = malloc(len + 1);
    if (!own_name || !own)
        return -ENOMEM;
    struct file *file = find(f, own_name);
    size_t before = file ? file->len : 0;
    if ((!file && f->n == FILES_MAX) || f->bytes - before + len > FILES_BYTES_MAX)
        return -E2BIG;
    if (!file) {
        file = &f->list[f->n++];
        *file = (struct file){.name = TAKE_PTR(own_name)};
    }
    memcpy(own, data, len);
    own[len] = '\0';
    free(file->data);
    file->data = TAKE_PTR(own);
    file->len = len;
    f->bytes += len - before;
    return 0;
}

static int load(struct files *f, const struct buf *log)
{
    const char *p = log->data;
    for (size_t left = log->len; left;) {
        uint32_t sizes[2];
        if (left < sizeof(sizes))
            return 0;
        memcpy(sizes, p, sizeof(sizes));
        uint64_t total = sizeof(sizes) + (uint64_t)sizes[0] + sizes[1];
        if (left < total)
            return 0;
        int r = store(f, p + sizeof(sizes), sizes[0], p + sizeof(sizes) + sizes[0], sizes[1]);
        if (r < 0)
            return r;
        p += total;
        left -= total;
    }
    return 0;
}

int files_open(const char *path, struct files **ret, struct err *e)
{
    auto_buf struct buf log = {0};
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : fd_slurp(fd, &log, 2 * FILES_BYTES_MAX);
    if (r < 0)
        return err_errno(e, r, "read %s", path);
    struct files *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(e, -ENOMEM, "files");
    f->log_fd = -EBADF;
    r = load(f, &log);
    if (r < 0) {
        files_free(f);
        return err_errno(e, r, "load %s", path);
    }
    f->log_fd = TAKE_FD(fd);
    *ret = f;
    return 0;
}

void files_free(struct files *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].name);
        free(f->list[i].data);
    }
    cleanup_close(&f->log_fd);
    free(f);
}

int files_put(struct files *f, const char *name, const void *data, size_t len, struct err *e)
{
    int r = store(f, name, strlen(name), data, len);
    if (r == -E2BIG)
        return err_set(e, ERR_TOO_LARGE, "the guest's file table is full");
    if (r < 0)
        return err_errno(e, r, "put %s", name);
    uint32_t sizes[2] = {(uint32_t)strlen(name), (uint32_t)len};
    auto_buf struct buf entry = {0};
    buf_append(&entry, sizes, sizeof(sizes));
    buf_append_str(&entry, name);
    buf_append(&entry, data, len);
    r = entry.failed ? -ENOMEM : fd_write_all(f->log_fd, entry.data, entry.len);
    return r < 0 ? err_errno(e, r, "log %s", name) : 0;
}

const char *files_find(const struct files *f, const char *name, size_t *ret_len)
{
    const struct file *file = find(f, name);
    if (!file)
        return NULL;
    *ret_len = file->len;
    return file->data;
}

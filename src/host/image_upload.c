/* SPDX-License-Identifier: Apache-2.0 */

/* Uploads of kernels and root file systems: streamed beside, checked, renamed. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/image_check.h"
#include "host/image_rows.h"
#include "host/images_priv.h"
#include "host/store_images.h"

#define BLOCK_BYTES 4096                     /* of zeros becomes a hole */
#define LOOK_EVERY_BYTES (int64_t)(64 * MIB) /* written, between two looks at the free room */

struct image_upload {
    struct host *host;
    struct image_info info;
    enum image_part part;
    int fd;
    int64_t bytes, max_bytes;
    int64_t looked_at; /* bytes when the free room was looked at last */
    char path[PATH_MAX];
};

static const char *const files[] = {[IMAGE_KERNEL] = "vmlinuz", [IMAGE_ROOTFS] = "rootfs.ext4"};
static const char *const parts[] = {[IMAGE_KERNEL] = "kernel", [IMAGE_ROOTFS] = "rootfs"};

/* Room for `more` bytes, and what is to stay free. */
static int check_room(const struct image_upload *u, int64_t more, struct err *e)
{
    struct statvfs v;
    if (fstatvfs(u->fd, &v) < 0)
        return err_errno(e, -errno, "look at the free room");
    int64_t free_bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    if (free_bytes - more >= (int64_t)IMAGE_FREE_MIN_BYTES)
        return 0;
    return err_set(e, ERR_FULL, "the host's disk has no room for this image");
}

/* What the account is charged for when the part has `bytes`, besides what was there before. Only
 * this upload changes the part. */
static struct quota more_for(const struct image_upload *u, int64_t bytes)
{
    bool is_kernel = u->part == IMAGE_KERNEL;
    int64_t had = is_kernel ? u->info.kernel_bytes : u->info.disk_bytes;
    struct quota more = {.disk_bytes = bytes - had};
    return more;
}

/* An upload whose length is told need not come to be refused. */
static int check_quota(const struct image_upload *u, int64_t length, struct err *e)
{
    struct accounts *a = u->host->accounts;
    const struct quota more = more_for(u, length);
    int r = more.disk_bytes > 0 ? accounts_charge(a, u->info.account, &more, e) : 0;
    if (r == 0 && more.disk_bytes > 0)
        accounts_release(a, u->info.account, &more);
    return r;
}

static int too_large(const struct image_upload *u, struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "a %s has at most %lld MiB", parts[u->part],
                   (long long)(u->max_bytes >> 20));
}

static int open_file(struct image_upload *u, int64_t length, struct err *e)
{
    char dir[PATH_MAX], name[32];
    image_path(u->host, u->info.id, "", dir);
    int r = dir_make(dir, 0700);
    if (r < 0)
        return err_errno(e, r, "make the image's directory");
    snprintf(name, sizeof(name), ".upload-%s", parts[u->part]);
    image_path(u->host, u->info.id, name, u->path);
    u->fd = open(u->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
    if (u->fd < 0)
        return err_errno(e, -errno, "make a file for the %s", parts[u->part]);
    if (length > u->max_bytes)
        return too_large(u, e);
    r = check_quota(u, length, e);
    return r < 0 ? r : check_room(u, length > 0 ? length : 0, e);
}

int host_image_upload(struct host *h, const char *account, const char *id, enum image_part part,
                      int64_t length, struct image_upload **ret, struct err *e)
{
    struct image_info found;
    int r = host_image_get(h, account, id, &found, e);
    if (r < 0)
        return r;
    if (found.builtin)
        return err_set(e, ERR_FORBIDDEN, "image %s is Holm's own and cannot be changed",
                       found.name);
    struct image_upload *u = calloc(1, sizeof(*u));
    if (!u)
        return err_errno(e, -ENOMEM, "upload");
    r = image_rows_begin(h->image_rows, account, found.id, (int)part, &u->info, e);
    if (r < 0) {
        free(u);
        return r;
    }
    u->host = h;
    u->part = part;
    u->fd = -1;
    u->max_bytes =
        (int64_t)(part == IMAGE_KERNEL ? IMAGE_KERNEL_MAX_BYTES : IMAGE_UPLOAD_MAX_BYTES);
    r = open_file(u, length, e);
    if (r < 0) {
        image_upload_free(u);
        return r;
    }
    *ret = u;
    return 0;
}

/* --- bytes --- */

static bool is_zero(const char *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* To the end of the block that the file is in, or of the data. */
static size_t piece(int64_t at, size_t len)
{
    size_t n = BLOCK_BYTES - (size_t)(at % BLOCK_BYTES);
    return n < len ? n : len;
}

static int write_run(struct image_upload *u, const char *p, size_t len, int64_t at, struct err *e)
{
    while (len) {
        ssize_t n = pwrite(u->fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ENOSPC ? err_set(e, ERR_FULL, "the host's disk is full")
                                   : err_errno(e, -errno, "write the %s", parts[u->part]);
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int take(struct image_upload *u, const void *data, size_t len, struct err *e)
{
    const char *p = data;
    if (len > (size_t)(u->max_bytes - u->bytes))
        return too_large(u, e);
    if (u->bytes - u->looked_at >= LOOK_EVERY_BYTES) {
        int r = check_room(u, 0, e);
        if (r < 0)
            return r;
        u->looked_at = u->bytes;
    }
    while (len) {
        size_t run = 0, n;
        while (run < len && !is_zero(p + run, n = piece(u->bytes + (int64_t)run, len - run)))
            run += n;
        int r = write_run(u, p, run, u->bytes, e);
        if (r < 0)
            return r;
        size_t hole = run < len ? piece(u->bytes + (int64_t)run, len - run) : 0;
        p += run + hole;
        len -= run + hole;
        u->bytes += (int64_t)(run + hole);
    }
    return 0;
}

/* One that failed is over before its client has the answer, and may begin anew. */
static void release(struct image_upload *u)
{
    if (u->path[0])
        unlink(u->path);
    u->path[0] = '\0';
    if (u->info.id[0])
        image_rows_end(u->host->image_rows, u->info.id, (int)u->part, NULL);
    u->info.id[0] = '\0';
}

int image_upload_write(struct image_upload *u, const void *data, size_t len, struct err *e)
{
    int r = take(u, data, len, e);
    if (r < 0)
        release(u);
    return r;
}

/* --- the end --- */

static int check(struct image_upload *u, struct err *e)
{
    struct image_kernel kernel;
    int r = u->part == IMAGE_KERNEL ? image_check_kernel(u->fd, u->bytes, &kernel, e)
                                    : image_check_rootfs(u->fd, u->bytes, e);
    if (r == 0 && u->part == IMAGE_KERNEL)
        log_info("image", "image=%s kernel release=%s form=%s", u->info.id,
                 *kernel.release ? kernel.release : "?",
                 kernel.form == IMAGE_KERNEL_VMLINUX ? "vmlinux" : "bzImage");
    return r;
}

static int sync_dir(const char *dir)
{
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The file's own time, so that the next daemon finds the same by looking at it. */
static int note(struct image_upload *u, struct err *e)
{
    struct stat st;
    if (fstat(u->fd, &st) < 0)
        return err_errno(e, -errno, "look at an upload");
    int64_t when = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    struct image_info *i = &u->info;
    if (u->part == IMAGE_KERNEL) {
        i->has_kernel = true;
        i->kernel_bytes = u->bytes;
        i->kernel_uploaded_ns = when;
    } else {
        i->has_rootfs = true;
        i->disk_bytes = u->bytes;
        i->rootfs_uploaded_ns = when;
    }
    return 0;
}

static int not_in_place(const struct image_upload *u, struct err *e)
{
    return errno == ENOSPC ? err_set(e, ERR_FULL, "the host's disk is full")
                           : err_errno(e, -errno, "put the %s in place", parts[u->part]);
}

/* The rename is the last that may fail: from then on the image has the file. */
static int publish(struct image_upload *u, struct err *e)
{
    char path[PATH_MAX];
    image_path(u->host, u->info.id, files[u->part], path);
    /* The kernel's own idea of the time is that of its last tick. */
    int64_t now_ns = clock_real_ns();
    const struct timespec now = {.tv_sec = now_ns / 1000000000, .tv_nsec = now_ns % 1000000000};
    const struct timespec times[] = {now, now};
    if (ftruncate(u->fd, u->bytes) < 0 || futimens(u->fd, times) < 0 || fsync(u->fd) < 0)
        return not_in_place(u, e);
    int r = note(u, e);
    if (r < 0)
        return r;
    if (rename(u->path, path) < 0)
        return not_in_place(u, e);
    u->path[0] = '\0';
    return 0;
}

/* What holds once it is in place, whether or not it would survive a crash of the host. */
static void count_it(struct image_upload *u)
{
    struct host *h = u->host;
    struct err e = ERR_INIT;
    /* It counts already: what the store says of it is made to fit when the daemon starts. */
    if (store_image_put(h->store, &u->info, &e) < 0)
        log_warn("image", "image=%s: %s", u->info.id, e.text);
    image_rows_end(h->image_rows, u->info.id, (int)u->part, &u->info);
    image_forget(h->images, u->info.id);
    log_info("image", "image=%s %s uploaded bytes=%lld", u->info.id, parts[u->part],
             (long long)u->bytes);
    images_note(h, u->info.account, "image.uploaded", &u->info,
                json_pack("{s:s, s:I}", "part", parts[u->part], "bytes", (json_int_t)u->bytes));
}

int image_upload_finish(struct image_upload *u, struct image_info *ret, struct err *e)
{
    struct host *h = u->host;
    char id[ID_SIZE], account[ID_SIZE], dir[PATH_MAX];
    const struct quota more = more_for(u, u->bytes);
    int r = check(u, e);
    if (r == 0)
        r = accounts_charge(h->accounts, u->info.account, &more, e);
    if (r < 0) {
        release(u);
        return r;
    }
    r = publish(u, e);
    if (r < 0) {
        accounts_release(h->accounts, u->info.account, &more);
        release(u);
        return r;
    }
    count_it(u);
    memcpy(id, u->info.id, sizeof(id));
    memcpy(account, u->info.account, sizeof(account));
    u->info.id[0] = '\0'; /* ended already */
    image_path(h, id, "", dir);
    r = sync_dir(dir);
    if (r < 0)
        return err_errno(e, r, "the %s is in place; make that durable", parts[u->part]);
    return ret ? host_image_get(h, account, id, ret, e) : 0;
}

void image_upload_free(struct image_upload *u)
{
    if (!u)
        return;
    release(u);
    cleanup_close(&u->fd);
    free(u);
}

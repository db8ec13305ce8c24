/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_rows.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/store_images.h"

struct default_image {
    struct default_image *next;
    char account[ID_SIZE];
    char key[IMAGE_KEY_SIZE];
};

struct image_rows {
    struct host *host;
    pthread_mutex_t lock; /* guards what follows */
    struct image_row *first, **end;
    struct default_image *defaults;
};

void image_path(const struct host *h, const char *key, const char *file, char *ret)
{
    path_printf(ret, PATH_MAX, "%s/images/%s%s%s", h->config->data_dir, key, *file ? "/" : "",
                file);
}

/* --- the list; lock held --- */

static struct image_row *find(struct image_rows *s, const char *account, const char *id)
{
    for (struct image_row *row = s->first; row; row = row->next) {
        if (strcmp(row->info.id, id) == 0 && !row->hidden)
            return !account || strcmp(row->info.account, account) == 0 ? row : NULL;
    }
    return NULL;
}

static int none(const char *ref, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no image \"%.64s\": GET /v1/images lists them", ref);
}

static int find_named(struct image_rows *s, const char *account, const char *name,
                      struct image_row **ret, struct err *e)
{
    struct image_row *found = NULL;
    for (struct image_row *row = s->first; row; row = row->next) {
        if (row->hidden || strcmp(row->info.account, account) != 0 ||
            strcmp(row->info.name, name) != 0)
            continue;
        if (found)
            return err_set(e, ERR_CONFLICT, "several images are called \"%.64s\": use the id",
                           name);
        found = row;
    }
    *ret = found;
    return found ? 0 : none(name, e);
}

static int append(struct image_rows *s, const struct image_info *info, struct err *e)
{
    struct image_row *row = calloc(1, sizeof(*row));
    if (!row)
        return err_errno(e, -ENOMEM, "images");
    row->info = *info;
    *s->end = row;
    s->end = &row->next;
    return 0;
}

/* --- what a former daemon left --- */

/* What the file says; 0 when there is none. */
static void look(const struct host *h, const char *key, const char *file, int64_t *ret_bytes,
                 int64_t *ret_ns)
{
    char path[PATH_MAX];
    struct stat st;
    image_path(h, key, file, path);
    bool there = stat(path, &st) == 0;
    *ret_bytes = there ? st.st_size : 0;
    *ret_ns = there ? st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec : 0;
}

static void look_at_files(const struct host *h, struct image_info *i)
{
    look(h, i->id, "vmlinuz", &i->kernel_bytes, &i->kernel_uploaded_ns);
    look(h, i->id, "rootfs.ext4", &i->disk_bytes, &i->rootfs_uploaded_ns);
    i->has_kernel = i->kernel_uploaded_ns != 0;
    i->has_rootfs = i->rootfs_uploaded_ns != 0;
    snprintf(i->key, sizeof(i->key), "%s", i->id);
}

static int load_row(void *arg, const void *info)
{
    struct image_rows *s = arg;
    struct image_info i = *(const struct image_info *)info;
    look_at_files(s->host, &i);
    return append(s, &i, NULL);
}

static int load_default(void *arg, const char *account, const char *key)
{
    struct image_rows *s = arg;
    struct default_image *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    path_printf(d->account, sizeof(d->account), "%s", account);
    path_printf(d->key, sizeof(d->key), "%s", key);
    d->next = s->defaults;
    s->defaults = d;
    return 0;
}

/* Uploads and readings half way have names that begin with a dot; a file that is replaced, of
 * modules, has more behind its name. */
static void tidy(const char *dir)
{
    auto_closedir DIR *d = opendir(dir);
    for (struct dirent *de; d && (de = readdir(d));) {
        char path[PATH_MAX];
        bool half = strncmp(de->d_name, "modules.cpio.", 13) == 0;
        if ((de->d_name[0] != '.' && !half) || strcmp(de->d_name, ".") == 0 ||
            strcmp(de->d_name, "..") == 0)
            continue;
        if (path_printf(path, sizeof(path), "%s/%s", dir, de->d_name) == 0)
            dir_remove(path);
    }
}

/* An image of images/build might be called like an id; it has image.json. */
static void drop_orphans(struct image_rows *s)
{
    char top[PATH_MAX], path[PATH_MAX], built[PATH_MAX];
    image_path(s->host, "", "", top);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        if (!id_valid(de->d_name))
            continue;
        image_path(s->host, de->d_name, "", path);
        image_path(s->host, de->d_name, "image.json", built);
        if (find(s, NULL, de->d_name)) {
            tidy(path);
        } else if (access(built, F_OK) < 0) {
            log_info("image", "removing orphaned image %s", de->d_name);
            dir_remove(path);
        }
    }
}

int image_rows_new(struct host *h, struct image_rows **ret, struct err *e)
{
    struct image_rows *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "images");
    s->host = h;
    s->end = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    int r = store_images_each(h->store, load_row, s, e);
    if (r == 0)
        r = store_default_images_each(h->store, load_default, s, e);
    if (r < 0) {
        image_rows_free(s);
        return err_wrap(e, r, "images");
    }
    drop_orphans(s);
    *ret = s;
    return 0;
}

void image_rows_charge(struct image_rows *s, struct accounts *a)
{
    for (const struct image_row *row = s->first; row; row = row->next)
        accounts_count(a, row->info.account,
                       &(struct quota){.disk_bytes = image_bytes(&row->info)});
}

void image_rows_free(struct image_rows *s)
{
    if (!s)
        return;
    for (struct image_row *row; (row = s->first);) {
        s->first = row->next;
        free(row);
    }
    for (struct default_image *d; (d = s->defaults);) {
        s->defaults = d->next;
        free(d);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- looking --- */

bool image_rows_has(struct image_rows *s, const char *key)
{
    AUTO_LOCK(&s->lock);
    return find(s, NULL, key);
}

bool image_rows_own(struct image_rows *s, const char *key)
{
    AUTO_LOCK(&s->lock);
    for (const struct image_row *row = s->first; row; row = row->next) {
        if (strcmp(row->info.id, key) == 0)
            return true;
    }
    return false;
}

int image_rows_get(struct image_rows *s, const char *account, const char *ref,
                   struct image_info *ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    struct image_row *row = find(s, account, ref);
    int r = row ? 0 : find_named(s, account, ref, &row, e);
    if (r == 0)
        *ret = row->info;
    return r;
}

int image_rows_list(struct image_rows *s, const char *account, struct image_info **ret,
                    size_t *ret_n, struct err *e)
{
    AUTO_LOCK(&s->lock);
    size_t n = 0;
    for (struct image_row *row = s->first; row; row = row->next)
        n += !row->hidden && strcmp(row->info.account, account) == 0;
    struct image_info *list = calloc(n + 1, sizeof(*list));
    if (!list)
        return err_errno(e, -ENOMEM, "list images");
    n = 0;
    for (struct image_row *row = s->first; row; row = row->next) {
        if (!row->hidden && strcmp(row->info.account, account) == 0)
            list[n++] = row->info;
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

/* Lock held. */
static size_t count(const struct image_rows *s, const char *account)
{
    size_t n = 0;
    for (const struct image_row *row = s->first; row; row = row->next)
        n += strcmp(row->info.account, account) == 0;
    return n;
}

size_t image_rows_count(struct image_rows *s, const char *account)
{
    if (!s)
        return 0;
    AUTO_LOCK(&s->lock);
    return count(s, account);
}

/* --- changing --- */

int image_rows_add(struct image_rows *s, const struct image_info *info, struct err *e)
{
    AUTO_LOCK(&s->lock);
    if (count(s, info->account) >= IMAGES_ACCOUNT_MAX)
        return err_set(e, ERR_FORBIDDEN, "the account has %d images already, more are not allowed",
                       IMAGES_ACCOUNT_MAX);
    return append(s, info, e);
}

int image_rows_begin(struct image_rows *s, const char *account, const char *id, int part,
                     struct image_info *ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    struct image_row *row = find(s, account, id);
    if (!row)
        return none(id, e);
    if (row->busy)
        return err_set(e, ERR_CONFLICT, "image %s is being changed", row->info.name);
    if (part < 0 ? row->uploading[0] || row->uploading[1] : row->uploading[part])
        return err_set(e, ERR_CONFLICT, "another upload for image %s is under way", row->info.name);
    *(part < 0 ? &row->busy : &row->uploading[part]) = true;
    *ret = row->info;
    return 0;
}

/* Both parts may be uploaded at the same time: each brings what is its own. */
static void take_part(struct image_info *info, int part, const struct image_info *next)
{
    if (part == IMAGE_KERNEL) {
        info->has_kernel = next->has_kernel;
        info->kernel_bytes = next->kernel_bytes;
        info->kernel_uploaded_ns = next->kernel_uploaded_ns;
    } else if (part == IMAGE_ROOTFS) {
        info->has_rootfs = next->has_rootfs;
        info->disk_bytes = next->disk_bytes;
        info->rootfs_uploaded_ns = next->rootfs_uploaded_ns;
    } else {
        *info = *next;
    }
}

void image_rows_end(struct image_rows *s, const char *id, int part, const struct image_info *next)
{
    AUTO_LOCK(&s->lock);
    struct image_row *row = s->first;
    while (row && strcmp(row->info.id, id) != 0)
        row = row->next;
    if (!row)
        return;
    if (next)
        take_part(&row->info, part, next);
    *(part < 0 ? &row->busy : &row->uploading[part]) = false;
}

void image_rows_hide(struct image_rows *s, const char *id, bool hide)
{
    AUTO_LOCK(&s->lock);
    for (struct image_row *row = s->first; row; row = row->next) {
        if (strcmp(row->info.id, id) == 0)
            row->hidden = hide;
    }
}

void image_rows_remove(struct image_rows *s, const char *id)
{
    AUTO_LOCK(&s->lock);
    for (struct image_row **p = &s->first; *p; p = &(*p)->next) {
        struct image_row *row = *p;
        if (strcmp(row->info.id, id) != 0)
            continue;
        *p = row->next;
        if (s->end == &row->next)
            s->end = p;
        free(row);
        return;
    }
}

/* --- defaults --- */

void image_rows_default(struct image_rows *s, const char *account, char ret[IMAGE_KEY_SIZE])
{
    AUTO_LOCK(&s->lock);
    ret[0] = '\0';
    for (struct default_image *d = s->defaults; d; d = d->next) {
        if (strcmp(d->account, account) == 0)
            memcpy(ret, d->key, IMAGE_KEY_SIZE);
    }
}

int image_rows_set_default(struct image_rows *s, const char *account, const char *key,
                           struct err *e)
{
    int r = store_default_image_put(s->host->store, account, key, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&s->lock);
    for (struct default_image *d = s->defaults; d; d = d->next) {
        if (strcmp(d->account, account) == 0) {
            path_printf(d->key, sizeof(d->key), "%s", key);
            return 0;
        }
    }
    return load_default(s, account, key);
}

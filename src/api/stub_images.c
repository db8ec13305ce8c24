/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's images: two built in, of which the admin may delete the second (the first is the
 * default), and what accounts make. A file is any bytes, unless they
 * begin with "bad" (ERR_INVALID); an image called "used" cannot be deleted. */

#include "host/images.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_vms.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"

#define IMAGES_MAX 64

static const struct image_info holms[] = {
    {.id = "bashbashbashbashbash",
     .key = "bash",
     .name = "bash",
     .description = "Holm's own",
     .builtin = true,
     .has_kernel = true,
     .has_rootfs = true,
     .created_ns = 1,
     .kernel_uploaded_ns = 1,
     .rootfs_uploaded_ns = 1,
     .kernel_bytes = 1000,
     .state = "ready",
     .disk_bytes = 2 * (int64_t)GIB},
    {.id = "pythonpythonpythonpy",
     .key = "python",
     .name = "python",
     .builtin = true,
     .has_kernel = true,
     .has_rootfs = true,
     .created_ns = 1,
     .state = "failed",
     .detail = "it never said hello",
     .disk_bytes = 3 * (int64_t)GIB / 2},
};

struct image_upload {
    char id[ID_SIZE];
    enum image_part part;
    int64_t bytes;
    bool is_bad, is_gone;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct image_info own[IMAGES_MAX];
static size_t n_own, n_builtin = ARRAY_SIZE(holms);
static struct {
    char account[ID_SIZE], key[IMAGE_KEY_SIZE];
} chosen; /* the last choice of a default */

void stub_images_reset(void)
{
    n_own = 0;
    n_builtin = ARRAY_SIZE(holms);
    chosen.account[0] = '\0';
}

static int none(const char *ref, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no image \"%.40s\"", ref);
}

static void complete(const char *account, struct image_info *i)
{
    const char *key = strcmp(chosen.account, account) == 0 ? chosen.key : "bash";
    i->is_default = strcmp(key, i->key) == 0;
    if (!i->builtin)
        strcpy(i->state, i->has_kernel && i->has_rootfs ? "ready" : "missing");
}

static struct image_info *find_own(const char *account, const char *ref)
{
    for (size_t i = 0; i < n_own; i++) {
        if (strcmp(own[i].account, account) == 0 &&
            (strcmp(own[i].id, ref) == 0 || strcmp(own[i].name, ref) == 0))
            return &own[i];
    }
    return NULL;
}

static const struct image_info *find_builtin(const char *ref)
{
    for (size_t i = 0; i < n_builtin; i++) {
        if (strcmp(holms[i].id, ref) == 0 || strcmp(holms[i].name, ref) == 0)
            return &holms[i];
    }
    return NULL;
}

/* Its own, to be changed. */
static int change(const char *account, const char *ref, struct image_info **ret, struct err *e)
{
    *ret = find_own(account, ref);
    if (*ret)
        return 0;
    const struct image_info *b = find_builtin(ref);
    return b ? err_set(e, ERR_FORBIDDEN, "image %s is Holm's own", b->name) : none(ref, e);
}

int host_image_get(struct host *h, const char *account, const char *ref, struct image_info *ret,
                   struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    const struct image_info *found = find_own(account, ref);
    if (!found)
        found = find_builtin(ref);
    if (!found)
        return none(ref, e);
    struct image_info copy = *found;
    complete(account, &copy);
    if (ret)
        *ret = copy;
    return 0;
}

int host_image_list(struct host *h, const char *account, struct image_info **ret, size_t *ret_n,
                    struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *list = calloc(ARRAY_SIZE(holms) + IMAGES_MAX, sizeof(*list));
    size_t n = n_builtin;
    memcpy(list, holms, n * sizeof(*list));
    for (size_t i = 0; i < n_own; i++) {
        if (strcmp(own[i].account, account) == 0)
            list[n++] = own[i];
    }
    for (size_t i = 0; i < n; i++)
        complete(account, &list[i]);
    *ret = list;
    *ret_n = n;
    return 0;
}

int host_image_create(struct host *h, const char *account, const char *name,
                      const char *description, struct image_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    if (n_own == IMAGES_MAX)
        return err_set(e, ERR_FORBIDDEN, "too many images");
    struct image_info *i = &own[n_own++];
    *i = (struct image_info){.created_ns = clock_real_ns()};
    id_new(i->id);
    memcpy(i->key, i->id, sizeof(i->id));
    snprintf(i->account, sizeof(i->account), "%s", account);
    snprintf(i->name, sizeof(i->name), "%s", name);
    snprintf(i->description, sizeof(i->description), "%s", description ? description : "");
    *ret = *i;
    complete(account, ret);
    return 0;
}

int host_image_update(struct host *h, const char *account, const char *id, const char *name,
                      const char *description, struct image_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *i;
    int r = change(account, id, &i, e);
    if (r < 0)
        return r;
    if (name)
        snprintf(i->name, sizeof(i->name), "%s", name);
    if (description)
        snprintf(i->description, sizeof(i->description), "%s", description);
    *ret = *i;
    complete(account, ret);
    return 0;
}

int host_image_upload(struct host *h, const char *account, const char *id, enum image_part part,
                      int64_t length, struct image_upload **ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *i;
    int r = change(account, id, &i, e);
    if (r < 0)
        return r;
    if (length > 0 && (unsigned long long)length > IMAGE_UPLOAD_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "too large");
    struct image_upload *u = calloc(1, sizeof(*u));
    memcpy(u->id, i->id, sizeof(u->id));
    u->part = part;
    *ret = u;
    return 0;
}

int image_upload_write(struct image_upload *u, const void *data, size_t len, struct err *e)
{
    u->is_bad |= u->bytes == 0 && len >= 3 && memcmp(data, "bad", 3) == 0;
    u->is_gone |= u->bytes == 0 && len >= 4 && memcmp(data, "gone", 4) == 0;
    u->bytes += (int64_t)len;
    return 0;
}

int image_upload_finish(struct image_upload *u, struct image_info *ret, struct err *e)
{
    if (u->is_bad)
        return err_set(e, ERR_INVALID, "this is no kernel");
    AUTO_LOCK(&lock);
    if (u->is_gone)
        return err_set(e, ERR_NOT_FOUND, "there is no such image any more");
    for (size_t n = 0; n < n_own; n++) {
        struct image_info *i = &own[n];
        if (strcmp(i->id, u->id) != 0)
            continue;
        *(u->part == IMAGE_KERNEL ? &i->has_kernel : &i->has_rootfs) = true;
        *(u->part == IMAGE_KERNEL ? &i->kernel_bytes : &i->disk_bytes) = u->bytes;
        *(u->part == IMAGE_KERNEL ? &i->kernel_uploaded_ns : &i->rootfs_uploaded_ns) =
            clock_real_ns();
        *ret = *i;
        complete(i->account, ret);
    }
    return 0;
}

void image_upload_free(struct image_upload *u)
{
    free(u);
}

int host_image_set_default(struct host *h, const char *account, const char *id, struct err *e)
{
    struct image_info i;
    int r = host_image_get(h, account, id, &i, e);
    if (r < 0)
        return r;
    if (!i.has_kernel || !i.has_rootfs)
        return err_set(e, ERR_CONFLICT, "image %s has a file missing", i.name);
    AUTO_LOCK(&lock);
    snprintf(chosen.account, sizeof(chosen.account), "%s", account);
    snprintf(chosen.key, sizeof(chosen.key), "%s", i.key);
    return 0;
}

static int delete_builtin(const char *account, const struct image_info *i, struct err *e)
{
    if (strcmp(account, STUB_ADMIN) != 0)
        return err_set(e, ERR_FORBIDDEN, "image %s is Holm's own: only admins remove it", i->name);
    if (i == holms)
        return err_set(e, ERR_CONFLICT, "image %s is the default", i->name);
    n_builtin--;
    return 0;
}

int host_image_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *i;
    const struct image_info *b = find_builtin(id);
    if (b && !find_own(account, id))
        return delete_builtin(account, b, e);
    int r = change(account, id, &i, e);
    if (r == 0 && strcmp(i->name, "used") == 0)
        r = err_set(e, ERR_CONFLICT, "image used is in use");
    if (r == 0)
        *i = own[--n_own];
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's images: two built in, and what accounts make. A file that begins with "bad" is
 * none. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_vms.h"
#include "base/cleanup.h"
#include "host/images.h"

#define BUILT_IN 2
#define IMAGES_MAX 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct image_info images[IMAGES_MAX];
static size_t n_images;

struct image_upload {
    struct image_info *image;
    enum image_part part;
    bool is_bad;
    int64_t bytes;
};

void stub_images_reset(void)
{
    AUTO_LOCK(&lock);
    n_images = 0;
}

/* Lock held. */
static void add_built_in(void)
{
    static const char *const names[] = {"bash", "python"};
    for (; n_images < BUILT_IN; n_images++) {
        struct image_info *i = &images[n_images];
        *i = (struct image_info){.builtin = true,
                                 .is_default = !n_images,
                                 .has_kernel = true,
                                 .has_rootfs = true,
                                 .created_ns = 1000000000,
                                 .disk_bytes = (int64_t)2 << 30,
                                 .state = "ready"};
        snprintf(i->id, sizeof(i->id), "builtin%013zu", n_images);
        snprintf(i->key, sizeof(i->key), "%s", names[n_images]);
        snprintf(i->name, sizeof(i->name), "%s", names[n_images]);
    }
}

static int find(const char *account, const char *ref, struct image_info **ret, struct err *e)
{
    add_built_in();
    for (size_t i = 0; i < n_images; i++) {
        struct image_info *m = &images[i];
        bool is_it = strcmp(m->id, ref) == 0 || strcmp(m->key, ref) == 0;
        if (is_it && (m->builtin || strcmp(m->account, account) == 0)) {
            *ret = m;
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "there is no image %s", ref);
}

int host_image_get(struct host *h, const char *account, const char *ref, struct image_info *ret,
                   struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *m;
    int r = find(account, ref, &m, e);
    if (r == 0)
        *ret = *m;
    return r;
}

int host_image_list(struct host *h, const char *account, struct image_info **ret, size_t *ret_n,
                    struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    add_built_in();
    *ret = calloc(n_images, sizeof(**ret));
    *ret_n = 0;
    for (size_t i = 0; i < n_images; i++) {
        if (images[i].builtin || strcmp(images[i].account, account) == 0)
            (*ret)[(*ret_n)++] = images[i];
    }
    return 0;
}

int host_image_create(struct host *h, const char *account, const char *name,
                      const char *description, struct image_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    add_built_in();
    if (n_images == IMAGES_MAX)
        return err_set(e, ERR_FORBIDDEN, "too many images");
    struct image_info *m = &images[n_images++];
    *m = (struct image_info){.created_ns = 2000000000, .state = "missing"};
    id_new(m->id);
    memcpy(m->key, m->id, sizeof(m->id));
    snprintf(m->account, sizeof(m->account), "%s", account);
    snprintf(m->name, sizeof(m->name), "%s", name);
    snprintf(m->description, sizeof(m->description), "%s", description);
    *ret = *m;
    return 0;
}

/* The account's own. Lock held. */
static int find_own(const char *account, const char *id, struct image_info **ret, struct err *e)
{
    int r = find(account, id, ret, e);
    return r == 0 && (*ret)->builtin ? err_set(e, ERR_FORBIDDEN, "image %s is built in", id) : r;
}

int host_image_update(struct host *h, const char *account, const char *id, const char *name,
                      const char *description, struct image_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *m;
    int r = find_own(account, id, &m, e);
    if (r < 0)
        return r;
    if (name)
        snprintf(m->name, sizeof(m->name), "%s", name);
    if (description)
        snprintf(m->description, sizeof(m->description), "%s", description);
    *ret = *m;
    return 0;
}

int host_image_upload(struct host *h, const char *account, const char *id, enum image_part part,
                      int64_t length, struct image_upload **ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *m;
    int r = find_own(account, id, &m, e);
    if (r < 0)
        return r;
    struct image_upload *u = calloc(1, sizeof(*u));
    u->image = m;
    u->part = part;
    *ret = u;
    return 0;
}

int image_upload_write(struct image_upload *u, const void *data, size_t len, struct err *e)
{
    u->is_bad = u->is_bad || (!u->bytes && len >= 3 && memcmp(data, "bad", 3) == 0);
    u->bytes += (int64_t)len;
    return 0;
}

int image_upload_finish(struct image_upload *u, struct image_info *ret, struct err *e)
{
    if (u->is_bad)
        return err_set(e, ERR_INVALID, "this is no file of that kind");
    AUTO_LOCK(&lock);
    struct image_info *m = u->image;
    if (u->part == IMAGE_KERNEL) {
        m->has_kernel = true;
        m->kernel_uploaded_ns = 3000000000;
        m->kernel_bytes = u->bytes;
    } else {
        m->has_rootfs = true;
        m->rootfs_uploaded_ns = 3000000000;
        m->disk_bytes = u->bytes;
    }
    *ret = *m;
    return 0;
}

void image_upload_free(struct image_upload *u)
{
    free(u);
}

int host_image_set_default(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *m;
    int r = find(account, id, &m, e);
    if (r == 0 && (!m->has_kernel || !m->has_rootfs))
        r = err_set(e, ERR_CONFLICT, "image %s is not complete", id);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_images; i++)
        images[i].is_default = &images[i] == m;
    return 0;
}

int host_image_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct image_info *m;
    int r = find_own(account, id, &m, e);
    if (r == 0 && strcmp(m->name, "used") == 0)
        r = err_set(e, ERR_CONFLICT, "VMs are made from image %s", id);
    if (r < 0)
        return r;
    if (m->is_default)
        images[0].is_default = true;
    *m = images[--n_images];
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Images as the dialects see them: those that were built, by their files, and those that were
 * uploaded, by their rows. */

#include "host/images.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/activity.h"
#include "host/builds.h"
#include "host/host_priv.h"
#include "host/image_rows.h"
#include "host/images_priv.h"
#include "host/instance.h"
#include "host/snapshots.h"
#include "host/store_images.h"

/* --- built in --- */

static bool name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n < IMAGE_KEY_SIZE && !name[n];
}

/* Digits of the name's hash: the same on every host and after every build. */
static void builtin_id(const char *name, char ret[ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[IMAGE_KEY_SIZE + 16];
    int n = snprintf(text, sizeof(text), "holm image %s", name);
    crypto_hash_sha256(hash, (const unsigned char *)text, (unsigned long long)n);
    for (int i = 0; i < ID_LEN; i++)
        ret[i] = digits[hash[i] % 36];
    ret[ID_LEN] = '\0';
}

/* `name` is a directory's; false: there is no built-in image of this name. */
static bool look_builtin(struct host *h, const char *name, struct image_info *ret)
{
    char path[PATH_MAX];
    struct stat st;
    if (!name_ok(name) || image_rows_own(h->image_rows, name))
        return false;
    image_path(h, name, "rootfs.ext4", path);
    if (stat(path, &st) < 0)
        return false;
    int64_t built = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    *ret = (struct image_info){.builtin = true,
                               .has_kernel = true,
                               .has_rootfs = true,
                               .disk_bytes = st.st_size,
                               .created_ns = built,
                               .kernel_uploaded_ns = built,
                               .rootfs_uploaded_ns = built};
    builtin_id(name, ret->id);
    snprintf(ret->key, sizeof(ret->key), "%s", name);
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->description, sizeof(ret->description), "Holm's own: %s", name);
    path_printf(path, sizeof(path), "%s/kernel/vmlinuz", h->config->data_dir);
    if (stat(path, &st) == 0)
        ret->kernel_bytes = st.st_size;
    return true;
}

static int is_shown(const struct dirent *de)
{
    return de->d_name[0] != '.';
}

/* All of them, by name; the caller frees. Returns how many, or -errno. */
static int list_builtin(struct host *h, struct image_info **ret)
{
    char top[PATH_MAX];
    struct dirent **names = NULL;
    image_path(h, "", "", top);
    int n = scandir(top, &names, is_shown, alphasort), n_found = 0;
    if (n < 0)
        n = 0; /* there is no image yet */
    struct image_info *list = calloc((size_t)n + 1, sizeof(*list));
    for (int i = 0; i < n; i++) {
        n_found += list && look_builtin(h, names[i]->d_name, &list[n_found]);
        free(names[i]);
    }
    free(names);
    *ret = list;
    return list ? n_found : -ENOMEM;
}

/* Its name is not told by its id: each is asked, and only the right one is looked at. */
static bool find_builtin(struct host *h, const char *id, struct image_info *ret)
{
    char top[PATH_MAX], its_id[ID_SIZE];
    image_path(h, "", "", top);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        if (!name_ok(de->d_name))
            continue;
        builtin_id(de->d_name, its_id);
        if (strcmp(its_id, id) == 0)
            return look_builtin(h, de->d_name, ret);
    }
    return false;
}

/* --- looking --- */

static void add_state(struct host *h, struct image_info *i)
{
    static const char *const states[] = {
        [LANGUAGE_MISSING] = "ready", /* nothing needs it yet: it is booted when it is asked for */
        [LANGUAGE_BUILT] = "ready",   [LANGUAGE_PREPARING] = "preparing",
        [LANGUAGE_READY] = "ready",   [LANGUAGE_FAILED] = "failed",
    };
    if (!i->has_kernel || !i->has_rootfs) {
        strcpy(i->state, "missing");
        snprintf(i->detail, sizeof(i->detail), "it has no %s yet: upload one",
                 i->has_kernel   ? "root file system"
                 : i->has_rootfs ? "kernel"
                                 : "kernel and no root file system");
        return;
    }
    strcpy(i->state, states[image_state_of_all(h->images, i->key, i->detail)]);
}

void images_default(struct host *h, const char *account, char ret[IMAGE_KEY_SIZE])
{
    struct image_info info;
    image_rows_default(h->image_rows, account, ret);
    if (!*ret || (!image_rows_has(h->image_rows, ret) && !look_builtin(h, ret, &info)))
        path_printf(ret, IMAGE_KEY_SIZE, "%s", h->config->vm_image);
}

static void complete(struct host *h, const char *account, struct image_info *i)
{
    char key[IMAGE_KEY_SIZE];
    images_default(h, account, key);
    i->is_default = strcmp(key, i->key) == 0;
    add_state(h, i);
}

size_t host_images_ready(struct host *h)
{
    auto_free struct image_info *list = NULL;
    int n = list_builtin(h, &list);
    size_t n_ready = 0;
    for (int i = 0; i < n; i++) {
        add_state(h, &list[i]);
        n_ready += strcmp(list[i].state, "ready") == 0;
    }
    return n_ready;
}

static int find(struct host *h, const char *account, const char *ref, struct image_info *ret,
                struct err *e)
{
    if (look_builtin(h, ref, ret) || (id_valid(ref) && find_builtin(h, ref, ret)))
        return 0;
    return image_rows_get(h->image_rows, account, ref, ret, e);
}

int host_image_get(struct host *h, const char *account, const char *ref, struct image_info *ret,
                   struct err *e)
{
    struct image_info info;
    int r = find(h, account, ref, &info, e);
    if (r < 0)
        return r;
    complete(h, account, &info);
    if (ret)
        *ret = info;
    return 0;
}

int host_image_list(struct host *h, const char *account, struct image_info **ret, size_t *ret_n,
                    struct err *e)
{
    auto_free struct image_info *own = NULL, *built = NULL;
    size_t n_own = 0;
    int r = image_rows_list(h->image_rows, account, &own, &n_own, e);
    if (r < 0)
        return r;
    int n = list_builtin(h, &built);
    struct image_info *list = n < 0 ? NULL : calloc((size_t)n + n_own + 1, sizeof(*list));
    if (!list)
        return err_errno(e, -ENOMEM, "list images");
    memcpy(list, built, (size_t)n * sizeof(*list));
    if (n_own)
        memcpy(list + n, own, n_own * sizeof(*list));
    for (size_t i = 0; i < (size_t)n + n_own; i++)
        complete(h, account, &list[i]);
    *ret = list;
    *ret_n = (size_t)n + n_own;
    return 0;
}

int images_launchable(struct host *h, const char *account, const char *ref, struct image_info *ret,
                      struct err *e)
{
    char key[IMAGE_KEY_SIZE];
    if (!ref || !*ref) {
        images_default(h, account, key);
        ref = key;
    }
    int r = find(h, account, ref, ret, e);
    if (r == -ENOENT)
        return err_field(e, "image", "there is no image \"%.40s\": GET /v1/images lists them", ref);
    if (r == 0 && (!ret->has_kernel || !ret->has_rootfs)) {
        add_state(h, ret);
        r = err_set(e, ERR_CONFLICT, "image %s cannot be launched: %s", ret->name, ret->detail);
    }
    return r;
}

/* --- making, changing --- */

void images_note(struct host *h, const char *account, const char *type,
                 const struct image_info *image, json_t *data)
{
    const struct activity_note n = {
        .account = account, .type = type, .entity = image->id, .name = image->name, .data = data};
    host_note(h, &n);
    json_decref(data);
}

/* Trimmed, without what would break a line. */
static int clean(const char *text, size_t size, const char *field, char *ret, struct err *e)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    if (len >= size)
        return err_field(e, field, "field \"%s\" has more than %zu bytes", field, size - 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == 0x7f || (c < ' ' && c != '\n' && c != '\t') || (c < ' ' && *field == 'n'))
            return err_field(e, field, "field \"%s\" has a control character", field);
    }
    memcpy(ret, text, len);
    ret[len] = '\0';
    return 0;
}

static int clean_name(struct host *h, const char *name, char ret[IMAGE_NAME_SIZE], struct err *e)
{
    struct image_info info;
    int r = clean(name, IMAGE_NAME_SIZE, "name", ret, e);
    if (r == 0 && !*ret)
        r = err_field(e, "name", "the name must not be empty");
    if (r == 0 && look_builtin(h, ret, &info))
        r = err_field(e, "name", "\"%.40s\" is the name of one of Holm's own images", ret);
    return r;
}

int host_image_create(struct host *h, const char *account, const char *name,
                      const char *description, struct image_info *ret, struct err *e)
{
    struct image_info i = {.created_ns = clock_real_ns()};
    id_new(i.id);
    path_printf(i.key, sizeof(i.key), "%s", i.id);
    path_printf(i.account, sizeof(i.account), "%s", account);
    int r = clean_name(h, name ? name : "", i.name, e);
    if (r == 0)
        r = clean(description ? description : "", sizeof(i.description), "description",
                  i.description, e);
    if (r == 0)
        r = image_rows_add(h->image_rows, &i, e);
    if (r < 0)
        return r;
    /* Is the account there still? One that is being deleted looks for its images later. */
    r = accounts_charge(h->accounts, account, &(struct quota){0}, e);
    if (r == 0)
        r = store_image_put(h->store, &i, e);
    if (r < 0) {
        image_rows_remove(h->image_rows, i.id);
        return r;
    }
    log_info("image", "image=%s created", i.id);
    images_note(h, account, "image.created", &i, NULL);
    complete(h, account, &i);
    if (ret)
        *ret = i;
    return 0;
}

/* The account's own, held. */
static int begin(struct host *h, const char *account, const char *ref, struct image_info *ret,
                 struct err *e)
{
    int r = find(h, account, ref, ret, e);
    if (r == 0 && ret->builtin)
        r = err_set(e, ERR_FORBIDDEN, "image %s is Holm's own and cannot be changed", ret->name);
    return r == 0 ? image_rows_begin(h->image_rows, account, ret->id, -1, ret, e) : r;
}

int host_image_update(struct host *h, const char *account, const char *id, const char *name,
                      const char *description, struct image_info *ret, struct err *e)
{
    struct image_info i;
    int r = begin(h, account, id, &i, e);
    if (r < 0)
        return r;
    if (name && strcmp(name, i.name) != 0)
        r = clean_name(h, name, i.name, e);
    if (r == 0 && description)
        r = clean(description, sizeof(i.description), "description", i.description, e);
    if (r == 0)
        r = store_image_put(h->store, &i, e);
    image_rows_end(h->image_rows, i.id, -1, r == 0 ? &i : NULL);
    if (r == 0)
        complete(h, account, &i);
    if (r == 0 && ret)
        *ret = i;
    return r;
}

int host_image_set_default(struct host *h, const char *account, const char *id, struct err *e)
{
    struct image_info i;
    int r = images_launchable(h, account, id, &i, e);
    if (r == -EINVAL && e) /* here it is what the request is about, not one of its fields */
        r = err_set(e, ERR_NOT_FOUND, "there is no image \"%.64s\"", id);
    if (r == 0)
        r = image_rows_set_default(h->image_rows, account, i.key, e);
    if (r == 0)
        images_note(h, account, "image.default", &i, NULL);
    return r;
}

/* --- deleting --- */

int images_still_there(struct host *h, const char *key, struct err *e)
{
    struct image_info info;
    if (image_rows_has(h->image_rows, key) || look_builtin(h, key, &info))
        return 0;
    return err_set(e, ERR_NOT_FOUND, "the image has just been deleted");
}

static int check_unused(struct host *h, const struct image_info *i, struct err *e)
{
    size_t vms = instances_of_image(h->instances, i->key);
    size_t snapshots = snapshots_of_image(h->snapshots, i->key);
    if (vms == 0 && snapshots == 0)
        return 0;
    return err_set(e, ERR_CONFLICT,
                   "image %s is in use: %zu VMs and %zu snapshots are made from it", i->name, vms,
                   snapshots);
}

static void drop_pooled(struct host *h, const char *key)
{
    const struct language *lang;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        if (strcmp(lang->image, key) == 0)
            pool_drop(h->pool, lang);
    }
}

/* One of Holm's own, by an admin. A launch that has found it before fails, and says that it is not
 * there; VMs and templates have its files by links. */
static int delete_builtin(struct host *h, const char *account, const struct image_info *i,
                          struct err *e)
{
    char path[PATH_MAX], away[PATH_MAX], id[ID_SIZE];
    bool is_admin = false;
    if (!accounts_is_admin(h->accounts, account, &is_admin) || !is_admin)
        return err_set(e, ERR_FORBIDDEN, "image %s is Holm's own: only admins remove it", i->name);
    if (strcmp(i->key, h->config->vm_image) == 0)
        return err_set(e, ERR_CONFLICT,
                       "image %s is what VMs are made from when nothing else is named (vms.image)",
                       i->name);
    int r = check_unused(h, i, e);
    if (r < 0)
        return r;
    id_new(id);
    image_path(h, i->key, "", path);
    path_printf(away, sizeof(away), "%s/tmp/" BUILD_WORK_PREFIX "gone-%s", h->config->data_dir, id);
    if (rename(path, away) < 0)
        return err_errno(e, -errno, "remove image %s", i->name);
    image_renew(h->images, i->key);
    drop_pooled(h, i->key);
    (void)dir_remove(away); /* else the next start does */
    log_info("image", "image=%s deleted", i->key);
    images_note(h, account, "image.deleted", i, NULL);
    return 0;
}

/* First it cannot be found: a launch that has found it before looks again when its VM can be seen
 * here (images_still_there). So one of the two gives way. */
int host_image_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    struct image_info i;
    char path[PATH_MAX];
    int r = find(h, account, id, &i, e);
    if (r == 0 && i.builtin)
        return delete_builtin(h, account, &i, e);
    r = begin(h, account, id, &i, e);
    if (r < 0)
        return r;
    image_rows_hide(h->image_rows, i.id, true);
    r = check_unused(h, &i, e);
    if (r == 0)
        r = store_image_delete(h->store, i.id, e);
    if (r < 0) {
        image_rows_hide(h->image_rows, i.id, false);
        image_rows_end(h->image_rows, i.id, -1, NULL);
        return r;
    }
    image_forget(h->images, i.key);
    image_path(h, i.id, "", path);
    int gone = dir_remove(path);
    if (gone < 0)
        log_error("image", "image=%s %s cannot be removed, the next start tries again: %s", i.id,
                  path, strerror(-gone));
    image_rows_remove(h->image_rows, i.id);
    accounts_release(h->accounts, account, &(struct quota){.disk_bytes = image_bytes(&i)});
    log_info("image", "image=%s deleted", i.id);
    images_note(h, account, "image.deleted", &i, NULL);
    return 0;
}

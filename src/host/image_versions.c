/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_versions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/image_rows.h"
#include "wire/field.h"

struct known {
    char *path;
    struct file_stamp stamp;
    json_t *versions; /* NULL: it has none */
};

struct image_versions {
    pthread_mutex_t lock; /* leaf; of all below */
    struct known known[LANGUAGE_IMAGES_MAX];
    size_t n_known;
    size_t next; /* the one that gives way when there are so many */
};

/* --- reading; the lock is not held --- */

static bool is_version(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    return text && len > 0 && len < LANGUAGE_VERSION_SIZE &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+~_-") ==
               len;
}

static int read_versions(const char *path, json_t **ret, struct err *e)
{
    auto_buf struct buf b = {0};
    auto_json json_t *o = NULL;
    const char *language;
    json_t *value;
    int r = file_read(path, &b, IMAGE_JSON_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read it");
    r = field_parse(buf_str(&b), b.len, &o, e);
    json_t *versions = r == 0 ? json_object_get(o, "versions") : NULL;
    if (!versions)
        return r;
    if (!json_is_object(versions) || json_object_size(versions) > LANGUAGES_MAX)
        return err_field(e, "versions", "versions must be an object of at most %d languages",
                         LANGUAGES_MAX);
    json_object_foreach(versions, language, value)
    {
        if (!is_version(value))
            return err_field(e, "versions", "versions: \"%.31s\" must be a version", language);
    }
    *ret = json_incref(versions);
    return 0;
}

/* --- what is known; the lock is held --- */

static struct known *find(struct image_versions *v, const char *path)
{
    for (size_t i = 0; i < v->n_known; i++) {
        if (strcmp(v->known[i].path, path) == 0)
            return &v->known[i];
    }
    return NULL;
}

/* A place for it, with its path; NULL: no memory. */
static struct known *place(struct image_versions *v, const char *path)
{
    struct known *k = find(v, path);
    char *copy = k ? NULL : strdup(path);
    if (k || !copy)
        return k;
    if (v->n_known < LANGUAGE_IMAGES_MAX) {
        k = &v->known[v->n_known++];
    } else {
        k = &v->known[v->next];
        v->next = (v->next + 1) % LANGUAGE_IMAGES_MAX;
        json_decref(k->versions);
        free(k->path);
    }
    *k = (struct known){.path = copy};
    return k;
}

static void look_up(const struct known *k, const char *language, char ret[LANGUAGE_VERSION_SIZE])
{
    const char *text = json_string_value(json_object_get(k->versions, language));
    snprintf(ret, LANGUAGE_VERSION_SIZE, "%s", text ? text : "");
}

/* --- both --- */

void image_versions_get(struct image_versions *v, const char *path, const char *language,
                        char ret[LANGUAGE_VERSION_SIZE])
{
    struct err e = ERR_INIT;
    json_t *versions = NULL;
    struct stat st;
    ret[0] = '\0';
    if (stat(path, &st) < 0)
        return;
    const struct file_stamp stamp = file_stamp_of(&st);
    {
        AUTO_LOCK(&v->lock);
        const struct known *k = find(v, path);
        if (k && file_stamp_same(&k->stamp, &stamp)) {
            look_up(k, language, ret);
            return;
        }
    }
    /* Replaced after the look at it, it is read once more. */
    if (read_versions(path, &versions, &e) < 0)
        log_warn("image", "file=%s says no versions: %s", path, e.text);
    AUTO_LOCK(&v->lock);
    struct known *k = place(v, path);
    if (!k) {
        json_decref(versions);
        return;
    }
    json_decref(k->versions);
    k->versions = versions;
    k->stamp = stamp;
    look_up(k, language, ret);
}

int image_versions_new(struct image_versions **ret, struct err *e)
{
    struct image_versions *v = calloc(1, sizeof(*v));
    if (!v)
        return err_errno(e, -ENOMEM, "versions of images");
    pthread_mutex_init(&v->lock, NULL);
    *ret = v;
    return 0;
}

void image_versions_free(struct image_versions *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_known; i++) {
        json_decref(v->known[i].versions);
        free(v->known[i].path);
    }
    pthread_mutex_destroy(&v->lock);
    free(v);
}

void host_language_version(struct host *h, const struct language *lang,
                           char ret[LANGUAGE_VERSION_SIZE])
{
    char path[PATH_MAX];
    image_path(h, lang->image, "image.json", path);
    image_versions_get(h->image_versions, path, lang->name, ret);
}

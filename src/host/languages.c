/* SPDX-License-Identifier: Apache-2.0 */

/* Looking things up in the table of languages, and which table that is. A program lands in /work,
 * is compiled there when its language needs it, and runs as an ordinary user; arguments of the
 * request follow those of the row. */

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "host/languages_data.h"
#include "host/languages_priv.h"

void languages_free(struct languages *t)
{
    if (!t)
        return;
    json_decref(t->document);
    for (size_t i = 0; i < t->n_joined; i++)
        free(t->joined[i]);
    free(t->joined);
    free(t);
}

const struct language *languages_get(const struct languages *t, size_t index)
{
    return index < t->n_rows ? &t->rows[index] : NULL;
}

const struct language_image *languages_image(const struct languages *t, size_t index)
{
    return index < t->n_images ? &t->images[index] : NULL;
}

static size_t count_meanings(const struct language *lang, const char *name)
{
    size_t n = strcasecmp(lang->name, name) == 0, len = strlen(name);
    for (const char *p = lang->aliases; *p;) {
        size_t word = strcspn(p, " ");
        n += word == len && strncasecmp(p, name, len) == 0;
        p += word + strspn(p + word, " ");
    }
    return n;
}

size_t languages_count_meanings(const struct languages *t, const char *word)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows; i++)
        n += count_meanings(&t->rows[i], word);
    return n;
}

const struct language *languages_find(const struct languages *t, const char *name)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (count_meanings(&t->rows[i], name))
            return &t->rows[i];
    }
    return NULL;
}

const struct language_image *languages_find_image(const struct languages *t, const char *name)
{
    for (size_t i = 0; i < t->n_images; i++) {
        if (strcmp(t->images[i].name, name) == 0)
            return &t->images[i];
    }
    return NULL;
}

/* --- the one in use --- */

static struct languages *in_use;
static pthread_once_t built_in = PTHREAD_ONCE_INIT;

/* The tests have read it: if it cannot be read here there is no memory to run anything. */
static void use_built_in(void)
{
    if (in_use)
        return;
    struct err e = ERR_INIT;
    int r = languages_parse((const char *)languages_data, sizeof(languages_data), &in_use, &e);
    assert(r == 0);
    (void)r;
}

const struct languages *languages_in_use(void)
{
    pthread_once(&built_in, use_built_in);
    return in_use;
}

int languages_use(const char *path, struct err *e)
{
    auto_buf struct buf b = {0};
    struct languages *t = NULL;
    int r = file_read(path, &b, LANGUAGES_FILE_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read the languages of %s", path);
    r = languages_parse(buf_str(&b), b.len, &t, e);
    if (r < 0)
        return err_wrap(e, r, "%s", path);
    languages_free(in_use);
    in_use = t;
    return 0;
}

const struct language *host_language(size_t index)
{
    return languages_get(languages_in_use(), index);
}

const struct language *host_language_find(const char *name)
{
    return languages_find(languages_in_use(), name);
}

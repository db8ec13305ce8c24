/* SPDX-License-Identifier: Apache-2.0 */

/* Pushes and pulls in the background, one after the other among builds. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/builds.h"
#include "host/host_priv.h"
#include "host/image.h"
#include "host/remote_priv.h"

struct order {
    bool pushes;
    enum remote_what what;
    char name[REMOTE_NAME_SIZE];
};

static bool is_cancelled(void *arg)
{
    return build_is_cancelled(arg);
}

static void on_progress(void *arg, int64_t done, int64_t total)
{
    build_progress(arg, done, total);
}

struct thing {
    enum remote_kind kind;
    const char *name;
};

static int do_one(struct build *b, const struct order *o, const struct thing *t, struct err *e)
{
    const struct remote_task task = {.cancelled = is_cancelled,
                                     .progress = on_progress,
                                     .arg = b,
                                     .keeps_image = o->what == REMOTE_WHAT_BOTH};
    build_step(b, "%s %s %s", o->pushes ? "push" : "pull", remote_kind_names[t->kind], t->name);
    return o->pushes ? host_remote_push(build_host(b), t->kind, t->name, &task, e)
                     : host_remote_pull(build_host(b), t->kind, t->name, &task, e);
}

/* Those of its languages that there are, here or there. */
static int do_templates(struct build *b, const struct order *o, struct err *e)
{
    struct host *h = build_host(b);
    const struct language *lang;
    int n = 0;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        struct err own = ERR_INIT;
        if (strcmp(lang->image, o->name) != 0 ||
            (o->pushes && image_state(h->images, lang, NULL) != LANGUAGE_READY))
            continue;
        int r = do_one(b, o, &(struct thing){REMOTE_TEMPLATE, lang->name}, &own);
        if (r == -ENOENT && !o->pushes) {
            image_give_back(h->images, &(struct image_ask){.key = o->name, .lang = lang}, false);
            continue;
        }
        if (r < 0) {
            *e = own;
            return r;
        }
        n++;
    }
    if (n == 0 && o->what == REMOTE_WHAT_TEMPLATE)
        return err_set(e, ERR_NOT_FOUND, "%s has no template of a language of image %s",
                       o->pushes ? "this host" : "the object store", o->name);
    return 0;
}

static int work(struct build *b, void *arg, struct err *e)
{
    const struct order *o = arg;
    int r = 0;
    if (o->what != REMOTE_WHAT_TEMPLATE)
        r = do_one(b, o, &(struct thing){REMOTE_IMAGE, o->name}, e);
    if (r < 0 || o->what == REMOTE_WHAT_IMAGE)
        return r;
    r = do_templates(b, o, e);
    if (!o->pushes && o->what == REMOTE_WHAT_BOTH)
        image_give_back(build_host(b)->images, &(struct image_ask){.key = o->name}, false);
    return r;
}

int host_remote_start(struct host *h, const struct remote_order *o, struct build_info *ret,
                      struct err *e)
{
    int r = host_remote_check(h, e);
    if (r < 0)
        return r;
    if (!remote_name_ok(o->name) || strlen(o->name) >= IMAGE_KEY_SIZE)
        return err_field(e, "name", "\"%.64s\" cannot be an image's name", o->name);
    struct order *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return err_errno(e, -ENOMEM, "object store");
    copy->pushes = o->pushes;
    copy->what = o->what;
    snprintf(copy->name, sizeof(copy->name), "%s", o->name);
    const struct build_task task = {.kind = o->pushes ? "push" : "pull",
                                    .name = copy->name,
                                    .leaves_image = o->pushes || o->what == REMOTE_WHAT_TEMPLATE,
                                    .run = work,
                                    .free = free,
                                    .arg = copy};
    return builds_start(h, &task, ret, e);
}

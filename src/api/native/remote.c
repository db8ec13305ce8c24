/* SPDX-License-Identifier: Apache-2.0 */

/* Images and templates in an object store. For admins, as builds are: what is pulled is
 * everybody's. A push or a pull is in the list of builds. */

#include "host/remote.h"

#include <errno.h>
#include <string.h>

#include "api/native/native.h"
#include "base/limits.h"

static json_t *item_json(const struct remote_item *i, enum remote_kind kind)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", i->name, "kind", remote_kind_names[kind],
                     "path", i->place, "bytes", (json_int_t)i->bytes, "pushedAt",
                     native_time_json(i->changed_ns));
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    static const enum remote_kind kinds[] = {REMOTE_IMAGE, REMOTE_TEMPLATE};
    ret->json = json_array();
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        auto_free struct remote_item *items = NULL;
        size_t n = 0;
        int r = host_remote_list(rq->host, kinds[k], &items, &n, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < n; i++)
            json_array_append_new(ret->json, item_json(&items[i], kinds[k]));
    }
    return ret->json ? 0 : -ENOMEM;
}

static const char *const whats[] = {
    [REMOTE_WHAT_IMAGE] = "image",
    [REMOTE_WHAT_TEMPLATE] = "template",
    [REMOTE_WHAT_BOTH] = "both",
    NULL,
};

struct remote_input {
    struct field_text name;
    int64_t what;
};

#define AT(member) offsetof(struct remote_input, member)
#define WHAT_FIELD                                                                  \
    {                                                                               \
        "what", FIELD_CHOICE, 0, AT(what),                                          \
            .choices = whats,                                                       \
            .doc = "image (the default), template: those of its languages, or both" \
    }

static const struct field push_request[] = {WHAT_FIELD, {0}};

static const struct field pull_request[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, AT(name), .max_bytes = REMOTE_NAME_SIZE - 1,
     .doc = "Of the image, as the list of what is in the store has it; also for templates, which "
            "are those of its languages"},
    WHAT_FIELD,
    {0},
};

static int begin(struct request *rq, const struct remote_order *o, struct answer *ret,
                 struct err *e)
{
    struct build_info b;
    int r = host_remote_start(rq->host, o, &b, e);
    return r < 0 ? r : native_build_answer(&b, ret);
}

static int push(struct request *rq, struct answer *ret, struct err *e)
{
    const struct remote_input *in = rq->input.data;
    char ref[NATIVE_IMAGE_REF_SIZE];
    struct image_info i;
    native_image_ref(rq->params[0], ref);
    int r = host_image_get(rq->host, rq->account, ref, &i, e);
    if (r < 0)
        return r;
    if (!i.builtin)
        return err_set(e, ERR_FORBIDDEN, "image %s is an account's own: only Holm's are pushed",
                       i.name);
    const struct remote_order o = {
        .pushes = true, .what = (enum remote_what)in->what, .name = i.name};
    return begin(rq, &o, ret, e);
}

static int pull(struct request *rq, struct answer *ret, struct err *e)
{
    const struct remote_input *in = rq->input.data;
    const struct remote_order o = {.what = (enum remote_what)in->what, .name = in->name.data};
    return begin(rq, &o, ret, e);
}

static const struct field item_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the image; of a template its language's"},
    {"kind", FIELD_TEXT, FIELD_REQUIRED, .doc = "image or template"},
    {"path", FIELD_TEXT, FIELD_REQUIRED, .doc = "s3://BUCKET/..."},
    {"bytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "What it has in the store"},
    {"pushedAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was pushed"},
    {0},
};

const struct route native_remote_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/images/remote", "listRemoteImages"),
        .handler = list,
        .response = item_fields,
        .flags = ROUTE_ADMIN | ROUTE_LIST,
        .doc = "Images and templates in the object store",
    },
    {
        NATIVE_ROW(POST, "/v1/images/pull", "pullImage"),
        .handler = pull,
        .request = pull_request,
        .input_bytes = sizeof(struct remote_input),
        .response = native_build_fields,
        .success = 202,
        .flags = ROUTE_ADMIN,
        .doc = "Pull an image out of the object store, in the background",
    },
    {
        NATIVE_ROW(POST, "/v1/images/{id}/push", "pushImage"),
        .handler = push,
        .request = push_request,
        .input_bytes = sizeof(struct remote_input),
        .response = native_build_fields,
        .success = 202,
        .flags = ROUTE_ADMIN,
        .doc = "Push one of Holm's own images into the object store, in the background",
    },
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */

/* Root file systems and snapshots of languages. Languages of one image share both: what is made of
 * one is made of all of them, and the lists say so. */

#include "host/rootfs.h"

#include <errno.h>
#include <string.h>

#include "api/request.h"
#include "api/runner/runner.h"
#include "api/text.h"
#include "api/uuid.h"
#include "base/clock.h"
#include "base/limits.h"
#include "host/builds.h"
#include "host/remote.h"

/* Without a key only where none is needed, as for running code; with one it is an admin's. */
static int check_admin(const struct request *rq, struct err *e)
{
    if (*rq->account && !rq->is_admin)
        return err_set(e, ERR_FORBIDDEN, "this needs a key of an admin account");
    return 0;
}

struct list_query {
    bool remote;
};

static const struct field list_query[] = {
    {"remote", FIELD_BOOL, 0, offsetof(struct list_query, remote),
     .doc = "true: what is in the S3 store instead of here"},
    {0},
};

static int no_store(struct err *e)
{
    return err_field(e, "remote", "no S3 store is configured");
}

/* The other languages of its image. */
static json_t *shared_with(const struct language *lang)
{
    json_t *list = json_array();
    const struct language *other;
    for (size_t i = 0; (other = host_language(i)); i++) {
        if (other != lang && strcmp(other->image, lang->image) == 0)
            json_array_append_new(list, json_string(other->name));
    }
    return list;
}

/* ---- what is in the store ---- */

static json_t *remote_json(const struct language *lang, const struct remote_item *item,
                           enum remote_kind kind)
{
    char when[CLOCK_RFC3339_SIZE];
    clock_rfc3339(item->changed_ns, when);
    /* Behind "s3://BUCKET/". */
    const char *key = strchr(item->place + strlen("s3://"), '/');
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "language", lang->name, "source",
                          "s3", "image", lang->image, "path", item->place, "lastModified", when,
                          "size", (json_int_t)item->bytes, "key", key ? key + 1 : "");
    if (kind == REMOTE_TEMPLATE) {
        json_object_set_new(o, "s3_path", json_string(item->place));
    } else {
        json_object_set_new(o, "shared_with", shared_with(lang));
        json_object_set_new(o, "status", json_string("ready"));
    }
    return o;
}

static int get_remote(struct request *rq, enum remote_kind kind, struct answer *ret, struct err *e)
{
    auto_free struct remote_item *items = NULL;
    const struct language *lang;
    size_t n = 0;
    if (host_remote_check(rq->host, NULL) < 0)
        return no_store(e);
    int r = host_remote_list(rq->host, kind, &items, &n, e);
    if (r < 0)
        return r;
    json_t *list = json_array();
    for (size_t i = 0; (lang = host_language(i)); i++) {
        for (size_t k = 0; k < n; k++) {
            if (strcmp(items[k].name, kind == REMOTE_TEMPLATE ? lang->name : lang->image) == 0)
                json_array_append_new(list, remote_json(lang, &items[k], kind));
        }
    }
    ret->json = json_pack("{s:o}", kind == REMOTE_IMAGE ? "rootfs" : "snapshots", list);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- GET /api/v1/rootfs ---- */

static const char *status_of(bool is_there, const struct build_info *last)
{
    if (last->state == BUILD_WAITING || last->state == BUILD_RUNNING)
        return "building";
    return is_there ? "ready" : "failed";
}

/* As /v1/builds has it. */
static json_t *build_id_json(const struct build_info *b)
{
    char uuid[UUID_SIZE];
    uuid_from_id(b->id, uuid);
    return json_string(uuid);
}

/* Why it failed may have paths of the host and addresses: it is for those who may build. */
static json_t *build_json(const struct request *rq, const struct build_info *b)
{
    json_t *o = json_pack("{s:o, s:s, s:s}", "id", build_id_json(b), "kind", b->kind, "status",
                          build_state_name(b->state));
    if (b->state == BUILD_FAILED && check_admin(rq, NULL) == 0)
        json_object_set_new(o, "error", text_json(b->detail, strlen(b->detail)));
    return o;
}

/* NULL: there is none, and none is being made, nor was the last try a failure. */
static json_t *rootfs_json(const struct request *rq, const struct language *lang)
{
    struct host *h = rq->host;
    struct build_info last = {.state = BUILD_DONE};
    struct rootfs_info f;
    bool is_there = host_rootfs(h, lang->image, &f);
    bool was_built = host_build_of(h, lang->image, &last);
    if (!is_there && (last.state == BUILD_DONE || last.state == BUILD_CANCELLED))
        return NULL;
    json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:o, s:s}", "language", lang->name,
                          "size", (json_int_t)f.size_bytes, "path", f.path, "source", "local",
                          "image", lang->image, "allocated", (json_int_t)f.allocated_bytes,
                          "shared_with", shared_with(lang), "status", status_of(is_there, &last));
    if (was_built)
        json_object_set_new(o, "last_build", build_json(rq, &last));
    return o;
}

static int get_rootfs(struct request *rq, struct answer *ret, struct err *e)
{
    const struct list_query *q = rq->query.data;
    const struct language *lang;
    if (q->remote)
        return get_remote(rq, REMOTE_IMAGE, ret, e);
    json_t *list = json_array();
    for (size_t i = 0; (lang = host_language(i)); i++) {
        json_t *o = rootfs_json(rq, lang);
        if (o)
            json_array_append_new(list, o);
    }
    ret->json = json_pack("{s:o}", "rootfs", list);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- POST /api/v1/rootfs ---- */

struct rootfs_input {
    struct field_text language;
    int64_t size_mb;
    bool force;
};

static const struct field rootfs_request[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct rootfs_input, language),
     .doc = "Name or alias of the language"},
    {"size_mb", FIELD_INTEGER, 0, offsetof(struct rootfs_input, size_mb), .min = BUILD_SIZE_MIN_MIB,
     .max = BUILD_SIZE_MAX_MIB, .doc = "Size of the file system in MiB; default: its recipe's"},
    {"force", FIELD_BOOL, 0, offsetof(struct rootfs_input, force),
     .doc = "Make it also when it is up to date"},
    {0},
};

static int started(const char *message, const struct language *lang, struct answer *ret)
{
    ret->json = json_pack("{s:s, s:s}", "message", message, "language", lang->name);
    return ret->json ? 0 : -ENOMEM;
}

static int post_rootfs(struct request *rq, struct answer *ret, struct err *e)
{
    const struct rootfs_input *in = rq->input.data;
    const struct language *lang;
    struct build_info b;
    int r = check_admin(rq, e);
    if (r == 0)
        r = runner_language(in->language.data, &lang, e);
    if (r < 0)
        return r;
    const struct image_order o = {
        .name = lang->image, .size_mib = (int)in->size_mb, .force = in->force};
    r = host_build_image(rq->host, &o, &b, e);
    if (r < 0 && e && strcmp(e->field, "name") == 0)
        strcpy(e->field, "language");
    if (r == 0)
        r = started("rootfs creation started", lang, ret);
    if (r == 0)
        json_object_set_new(ret->json, "build", build_id_json(&b));
    return r;
}

/* ---- GET /api/v1/snapshots ---- */

static int get_snapshots(struct request *rq, struct answer *ret, struct err *e)
{
    const struct list_query *q = rq->query.data;
    const struct language *lang;
    struct language_snapshot s;
    if (q->remote)
        return get_remote(rq, REMOTE_TEMPLATE, ret, e);
    json_t *list = json_array();
    for (size_t i = 0; (lang = host_language(i)); i++) {
        if (!host_language_snapshot(rq->host, lang, &s))
            continue;
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:i, s:I}", "language",
                                        lang->name, "vmstate_size", (json_int_t)s.state_bytes,
                                        "mem_size", (json_int_t)s.memory_mib * (json_int_t)MIB,
                                        "path", s.path, "source", "local", "image", lang->image,
                                        "vcpus", s.vcpus, "allocated", (json_int_t)s.disk_bytes));
    }
    ret->json = json_pack("{s:o}", "snapshots", list);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- POST /api/v1/snapshots ---- */

struct snapshot_input {
    struct field_text language;
    int64_t mem_mb, vcpus;
};

static const struct field snapshot_request[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct snapshot_input, language),
     .doc = "Name or alias of the language"},
    {"mem_mb", FIELD_INTEGER, 0, offsetof(struct snapshot_input, mem_mb), .min = VM_MEMORY_MIN_MIB,
     .max = VM_MEMORY_MAX_MIB, .doc = "Memory of its machines in MiB; default: as it is"},
    {"vcpus", FIELD_INTEGER, 0, offsetof(struct snapshot_input, vcpus), .min = 1,
     .max = VM_VCPUS_MAX, .doc = "CPUs of its machines; default: as it is"},
    {0},
};

static int post_snapshot(struct request *rq, struct answer *ret, struct err *e)
{
    const struct snapshot_input *in = rq->input.data;
    const struct language *lang;
    int r = check_admin(rq, e);
    if (r == 0)
        r = runner_language(in->language.data, &lang, e);
    if (r == 0)
        r = host_language_reshape(rq->host, lang, (int)in->vcpus, (int)in->mem_mb, e);
    return r < 0 ? r : started("snapshot creation started", lang, ret);
}

/* ---- rows ---- */

static const struct field last_build_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of /v1/builds"},
    {"kind", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"image\" (by its recipe), \"pull\", ..."},
    {"status", FIELD_TEXT, FIELD_REQUIRED,
     .doc = "\"waiting\", \"running\", \"done\", \"failed\" or \"cancelled\""},
    {"error", FIELD_TEXT, 0, .doc = "Why it failed; with a key, only for admins"},
    {0},
};

static const struct field rootfs_fields[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, .doc = "Whose it is"},
    {"size", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "Bytes of the file system, 0 when there is none yet; in the store, of its objects"},
    {"path", FIELD_TEXT, FIELD_REQUIRED, .doc = "The file on the host, or s3://..."},
    {"source", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"local\" or \"s3\""},
    {"image", FIELD_TEXT, FIELD_REQUIRED, .doc = "The image that it is"},
    {"allocated", FIELD_INTEGER, 0, .doc = "Bytes that it takes on the host's disk"},
    {"key", FIELD_TEXT, 0, .doc = "In the store"},
    {"lastModified", FIELD_TEXT, 0, .doc = "In the store: when it was pushed"},
    {"shared_with", FIELD_TEXTS, FIELD_REQUIRED, .doc = "Languages that have the same"},
    {"status", FIELD_TEXT, FIELD_REQUIRED,
     .doc = "\"ready\"; \"building\": it, or its successor; \"failed\": there is none, see "
            "last_build"},
    {"last_build", FIELD_OBJECT, 0, .fields = last_build_fields,
     .doc = "What made it last, or tried to, if that is remembered"},
    {0},
};

static const struct field all_rootfs_fields[] = {
    {"rootfs", FIELD_OBJECTS, FIELD_REQUIRED, .fields = rootfs_fields,
     .doc = "Of all languages that have one, or for which one was tried to be made"},
    {0},
};

static const struct field snapshot_fields[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, .doc = "Whose it is"},
    {"vmstate_size", FIELD_INTEGER, 0, .doc = "Bytes of the state of its devices"},
    {"mem_size", FIELD_INTEGER, 0, .doc = "Bytes of its memory"},
    {"path", FIELD_TEXT, FIELD_REQUIRED, .doc = "Its directory on the host, or s3://..."},
    {"source", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"local\" or \"s3\""},
    {"image", FIELD_TEXT, FIELD_REQUIRED, .doc = "The image that it was made from"},
    {"vcpus", FIELD_INTEGER, 0, .doc = "CPUs of its machine"},
    {"allocated", FIELD_INTEGER, 0, .doc = "Bytes that only it takes on the disk"},
    {"key", FIELD_TEXT, 0, .doc = "In the store"},
    {"s3_path", FIELD_TEXT, 0, .doc = "In the store: s3://..."},
    {"size", FIELD_INTEGER, 0, .doc = "In the store: bytes of its objects"},
    {"lastModified", FIELD_TEXT, 0, .doc = "In the store: when it was pushed"},
    {0},
};

static const struct field all_snapshots_fields[] = {
    {"snapshots", FIELD_OBJECTS, FIELD_REQUIRED, .fields = snapshot_fields,
     .doc = "Of all languages that have one now"},
    {0},
};

static const struct field started_fields[] = {
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "That it has been started"},
    {"language", FIELD_TEXT, FIELD_REQUIRED, .doc = "For which language"},
    {0},
};

static const struct field rootfs_started_fields[] = {
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "That it has been started"},
    {"language", FIELD_TEXT, FIELD_REQUIRED, .doc = "For which language"},
    {"build", FIELD_TEXT, FIELD_REQUIRED, .doc = "Its id: `last_build` of the list, /v1/builds"},
    {0},
};

static const int list_errors[] = {400, 502, 0};
static const int make_errors[] = {400, 403, 404, 409, 413, 415, 500, 502, 503, 0};

#define ROW(m, p, op) .method = ROUTE_##m, .path = p, .operation = op, .dialect = &runner_dialect

const struct route runner_rootfs_routes[] = {
    {
        ROW(GET, "/api/v1/rootfs", "listRootfs"),
        .handler = get_rootfs,
        .query = list_query,
        .query_bytes = sizeof(struct list_query),
        .response = all_rootfs_fields,
        .errors = list_errors,
        .doc = "Root file systems of languages",
    },
    {
        ROW(POST, "/api/v1/rootfs", "createRootfs"),
        .handler = post_rootfs,
        .request = rootfs_request,
        .input_bytes = sizeof(struct rootfs_input),
        .response = rootfs_started_fields,
        .success = 202,
        .errors = make_errors,
        .doc = "Make a language's root file system, in the background",
    },
    {
        ROW(GET, "/api/v1/snapshots", "listLanguageSnapshots"),
        .handler = get_snapshots,
        .query = list_query,
        .query_bytes = sizeof(struct list_query),
        .response = all_snapshots_fields,
        .errors = list_errors,
        .doc = "Snapshots that languages' programs are started from",
    },
    {
        ROW(POST, "/api/v1/snapshots", "createLanguageSnapshot"),
        .handler = post_snapshot,
        .request = snapshot_request,
        .input_bytes = sizeof(struct snapshot_input),
        .response = started_fields,
        .success = 202,
        .errors = make_errors,
        .doc = "Make a language's snapshot anew, in another machine, in the background",
    },
    {0},
};

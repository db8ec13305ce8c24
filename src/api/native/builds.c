/* SPDX-License-Identifier: Apache-2.0 */

/* Builds of Holm's own images: by recipe, from a container's image, from a Dockerfile. For admins:
 * what they make is everybody's, and a Dockerfile's commands run on the host. */

#include "host/builds.h"

#include <errno.h>
#include <string.h>

#include "api/native/native.h"
#include "api/text.h"
#include "base/limits.h"

static json_t *build_json(const struct build_info *b)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", native_id_json(b->id));
    json_object_set_new(o, "kind", json_string(b->kind));
    json_object_set_new(o, "name", json_string(b->name));
    json_object_set_new(o, "state", json_string(build_state_name(b->state)));
    json_object_set_new(o, "step", text_json(b->step, strlen(b->step)));
    json_object_set_new(o, "done", json_integer(b->done));
    json_object_set_new(o, "total", json_integer(b->total));
    json_object_set_new(o, "detail", text_json(b->detail, strlen(b->detail)));
    json_object_set_new(o, "createdAt", native_time_json(b->created_ns));
    json_object_set_new(o, "startedAt", native_time_json(b->started_ns));
    json_object_set_new(o, "endedAt", native_time_json(b->ended_ns));
    return o;
}

int native_build_answer(const struct build_info *b, struct answer *ret)
{
    ret->json = build_json(b);
    return ret->json ? 0 : -ENOMEM;
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    auto_free struct build_info *all = NULL;
    size_t n = 0;
    int r = host_build_list(rq->host, &all, &n, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret->json, build_json(&all[i]));
    return ret->json ? 0 : -ENOMEM;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct build_info b;
    int r = native_id(rq, 0, "build", id, e);
    if (r == 0)
        r = host_build_get(rq->host, id, &b, e);
    return r < 0 ? r : native_build_answer(&b, ret);
}

static int get_log(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = native_id(rq, 0, "build", id, e);
    return r < 0 ? r : host_build_log(rq->host, id, &ret->body, e);
}

static int cancel(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct build_info b;
    int r = native_id(rq, 0, "build", id, e);
    if (r == 0)
        r = host_build_cancel(rq->host, id, &b, e);
    return r < 0 ? r : native_build_answer(&b, ret);
}

/* ---- by recipe ---- */

struct build_input {
    struct field_text name, toolchain, sha256;
    int64_t size_mib;
    bool force;
};

#define AT(member) offsetof(struct build_input, member)

static const struct field build_request[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, AT(name), .max_bytes = IMAGE_KEY_SIZE - 1,
     .doc = "Of the image's recipe"},
    {"sizeMib", FIELD_INTEGER, 0, AT(size_mib), .min = BUILD_SIZE_MIN_MIB,
     .max = BUILD_SIZE_MAX_MIB, .doc = "Size of its file system; default: the recipe's"},
    {"force", FIELD_BOOL, 0, AT(force), .doc = "Build it also when it is up to date"},
    {"toolchain", FIELD_TEXT, 0, AT(toolchain), .max_bytes = 2000,
     .doc = "For recipes that need one: a URL, or an absolute path on the daemon's host"},
    {"sha256", FIELD_TEXT, 0, AT(sha256), .max_bytes = 64,
     .doc = "Of the toolchain's archive, in hexadecimal digits"},
    {0},
};

static int build(struct request *rq, struct answer *ret, struct err *e)
{
    const struct build_input *in = rq->input.data;
    const struct image_order o = {
        .name = in->name.data,
        .size_mib = (int)in->size_mib,
        .force = in->force,
        .toolchain = in->toolchain.data,
        .sha256 = in->sha256.data,
    };
    struct build_info b;
    int r = host_build_image(rq->host, &o, &b, e);
    return r < 0 ? r : native_build_answer(&b, ret);
}

/* ---- of what is uploaded ---- */

struct upload_query {
    struct field_text name;
    int64_t size_mib;
};

static const struct field upload_query[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct upload_query, name),
     .max_bytes = IMAGE_KEY_SIZE - 1, .doc = "What the image is called: a-z 0-9 -"},
    {"sizeMib", FIELD_INTEGER, 0, offsetof(struct upload_query, size_mib),
     .min = BUILD_SIZE_MIN_MIB, .max = BUILD_SIZE_MAX_MIB,
     .doc = "Size of its file system; default: what its files need, and some room"},
    {0},
};

static int write_some(void *arg, const void *data, size_t len, struct err *e)
{
    return build_upload_write(arg, data, len, e);
}

static int finish(void *arg, struct answer *ret, struct err *e)
{
    struct build_info b;
    int r = build_upload_finish(arg, &b, e);
    return r < 0 ? r : native_build_answer(&b, ret);
}

static void drop(void *arg)
{
    build_upload_free(arg);
}

static int upload(struct request *rq, enum upload_kind kind, struct upload *ret, struct err *e)
{
    const struct upload_query *q = rq->query.data;
    const struct upload_order o = {.kind = kind,
                                   .name = q->name.data,
                                   .size_mib = (int)q->size_mib,
                                   .length = request_length(rq)};
    struct build_upload *u = NULL;
    int r = request_check_raw(rq, e);
    if (r == 0)
        r = host_build_upload(rq->host, &o, &u, e);
    if (r == 0)
        *ret = (struct upload){.write = write_some, .finish = finish, .free = drop, .arg = u};
    return r;
}

static int put_oci(struct request *rq, struct upload *ret, struct err *e)
{
    return upload(rq, UPLOAD_OCI, ret, e);
}

static int put_dockerfile(struct request *rq, struct upload *ret, struct err *e)
{
    return upload(rq, UPLOAD_DOCKERFILE, ret, e);
}

/* ---- rows ---- */

const struct field native_build_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"kind", FIELD_TEXT, FIELD_REQUIRED, .doc = "image (by recipe), oci, dockerfile, push or pull"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the image"},
    {"state", FIELD_TEXT, FIELD_REQUIRED, .doc = "waiting, running, done, failed or cancelled"},
    {"step", FIELD_TEXT, FIELD_REQUIRED, .doc = "What is being done, or was done last"},
    {"done", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How far the step is..."},
    {"total", FIELD_INTEGER, FIELD_REQUIRED, .doc = "... of this; 0: not known"},
    {"detail", FIELD_TEXT, FIELD_REQUIRED, .doc = "Why it failed; else empty"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was asked for"},
    {"startedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "null: it waits"},
    {"endedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "null: it has not ended"},
    {0},
};

const struct route native_build_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/builds", "listImageBuilds"),
        .handler = list,
        .response = native_build_fields,
        .flags = ROUTE_ADMIN | ROUTE_LIST,
        .doc = "Builds of images, newest first: those under way, and the last that have ended",
    },
    {
        NATIVE_ROW(POST, "/v1/builds", "buildImage"),
        .handler = build,
        .request = build_request,
        .input_bytes = sizeof(struct build_input),
        .response = native_build_fields,
        .success = 202,
        .flags = ROUTE_ADMIN,
        .doc = "Build an image by its recipe; one that is there stays until the new one is whole",
    },
    {
        NATIVE_ROW(PUT, "/v1/builds/oci", "buildImageFromOci"),
        .upload = put_oci,
        .upload_types = UPLOAD_TYPE("application/x-tar"),
        .query = upload_query,
        .query_bytes = sizeof(struct upload_query),
        .response = native_build_fields,
        .success = 202,
        .flags = ROUTE_ADMIN,
        .doc = "Make an image of a container's: an OCI layout or docker-archive as a tar",
    },
    {
        NATIVE_ROW(PUT, "/v1/builds/dockerfile", "buildImageFromDockerfile"),
        .upload = put_dockerfile,
        .upload_types = UPLOAD_TYPE("application/x-tar"),
        .query = upload_query,
        .query_bytes = sizeof(struct upload_query),
        .response = native_build_fields,
        .success = 202,
        .flags = ROUTE_ADMIN,
        .doc = "Make an image by a Dockerfile: a directory with one as a tar",
    },
    {
        NATIVE_ROW(GET, "/v1/builds/{id}", "getImageBuild"),
        .handler = get,
        .response = native_build_fields,
        .flags = ROUTE_ADMIN,
        .doc = "One build, and how far it is",
    },
    {
        NATIVE_ROW(GET, "/v1/builds/{id}/log", "getImageBuildLog"),
        .handler = get_log,
        .content_type = "text/plain; charset=utf-8",
        .flags = ROUTE_ADMIN,
        .doc = "What it has said so far",
    },
    {
        NATIVE_ROW(DELETE, "/v1/builds/{id}", "cancelImageBuild"),
        .handler = cancel,
        .response = native_build_fields,
        .flags = ROUTE_ADMIN,
        .doc = "Cancel a build that has not ended",
    },
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */

/* Images: Holm's own, and those that an account uploads. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/native/native.h"
#include "api/text.h"
#include "base/limits.h"
#include "host/images.h"
#include "host/rootfs.h"

/* Those that run in it. */
static json_t *languages_json(const struct image_info *i)
{
    json_t *list = json_array();
    const struct language *lang;
    for (size_t n = 0; i->builtin && (lang = host_language(n)); n++) {
        if (strcmp(lang->image, i->key) == 0)
            json_array_append_new(list, json_string(lang->name));
    }
    return list;
}

static json_t *image_json(struct host *h, const struct image_info *i)
{
    json_t *o = json_object();
    struct rootfs_info f = {0};
    (void)host_rootfs(h, i->key, &f);
    json_object_set_new(o, "id", native_id_json(i->id));
    json_object_set_new(o, "name", json_string(i->name));
    json_object_set_new(o, "description", json_string(i->description));
    json_object_set_new(o, "state", json_string(i->state));
    json_object_set_new(o, "detail", text_json(i->detail, strlen(i->detail)));
    json_object_set_new(o, "builtin", json_boolean(i->builtin));
    json_object_set_new(o, "isDefault", json_boolean(i->is_default));
    json_object_set_new(o, "hasKernel", json_boolean(i->has_kernel));
    json_object_set_new(o, "hasRootfs", json_boolean(i->has_rootfs));
    json_object_set_new(o, "diskGiB", native_gib_json(i->disk_bytes));
    json_object_set_new(o, "kernelBytes", json_integer(i->kernel_bytes));
    json_object_set_new(o, "allocatedBytes", json_integer(f.allocated_bytes));
    json_object_set_new(o, "sharedBytes", json_integer(f.shared_bytes));
    json_object_set_new(o, "languages", languages_json(i));
    json_object_set_new(o, "createdAt", native_time_json(i->created_ns));
    json_object_set_new(o, "kernelUploadedAt", native_time_json(i->kernel_uploaded_ns));
    json_object_set_new(o, "rootfsUploadedAt", native_time_json(i->rootfs_uploaded_ns));
    return o;
}

static int answer(struct host *h, const struct image_info *i, struct answer *ret)
{
    ret->json = image_json(h, i);
    return ret->json ? 0 : -ENOMEM;
}

void native_image_ref(const char *text, char ret[NATIVE_IMAGE_REF_SIZE])
{
    char id[ID_SIZE];
    snprintf(ret, NATIVE_IMAGE_REF_SIZE, "%s", uuid_to_id(text, id) ? id : text);
}

/* An uploaded image's key is its id; built-in ones have names, which are hardly ever like ids. */
json_t *native_image_json(const char *key)
{
    return id_valid(key) ? native_id_json(key) : json_string(key);
}

/* The path's {id}: a UUID, or a name. */
static void image_ref(const struct request *rq, char ret[NATIVE_IMAGE_REF_SIZE])
{
    native_image_ref(rq->params[0], ret);
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    auto_free struct image_info *images = NULL;
    size_t n = 0;
    int r = host_image_list(rq->host, rq->account, &images, &n, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret->json, image_json(rq->host, &images[i]));
    return ret->json ? 0 : -ENOMEM;
}

struct image_input {
    struct field_text name, description;
};

#define AT(member) offsetof(struct image_input, member)

static const struct field create_request[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, AT(name), .max_bytes = IMAGE_NAME_SIZE - 1,
     .doc = "For people; launches take it too when no other image has it"},
    {"description", FIELD_TEXT, 0, AT(description), .max_bytes = IMAGE_DESCRIPTION_SIZE - 1,
     .doc = "What is in it"},
    {0},
};

static const struct field update_request[] = {
    {"name", FIELD_TEXT, 0, AT(name), .max_bytes = IMAGE_NAME_SIZE - 1, .doc = "Another name"},
    {"description", FIELD_TEXT, 0, AT(description), .max_bytes = IMAGE_DESCRIPTION_SIZE - 1,
     .doc = "Another description"},
    {0},
};

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct image_input *in = rq->input.data;
    struct image_info i;
    int r = host_image_create(rq->host, rq->account, in->name.data, in->description.data, &i, e);
    return r < 0 ? r : answer(rq->host, &i, ret);
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char ref[NATIVE_IMAGE_REF_SIZE];
    struct image_info i;
    image_ref(rq, ref);
    int r = host_image_get(rq->host, rq->account, ref, &i, e);
    return r < 0 ? r : answer(rq->host, &i, ret);
}

static int update(struct request *rq, struct answer *ret, struct err *e)
{
    const struct image_input *in = rq->input.data;
    char ref[NATIVE_IMAGE_REF_SIZE];
    struct image_info i;
    image_ref(rq, ref);
    int r =
        host_image_update(rq->host, rq->account, ref, in->name.data, in->description.data, &i, e);
    return r < 0 ? r : answer(rq->host, &i, ret);
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char ref[NATIVE_IMAGE_REF_SIZE];
    struct image_info i;
    image_ref(rq, ref);
    int r = host_image_get(rq->host, rq->account, ref, &i, e);
    if (r == 0)
        r = host_image_delete(rq->host, rq->account, i.id, e);
    return r < 0 ? r : native_deleted(i.id, true, ret);
}

static int set_default(struct request *rq, struct answer *ret, struct err *e)
{
    char ref[NATIVE_IMAGE_REF_SIZE];
    struct image_info i;
    image_ref(rq, ref);
    int r = host_image_set_default(rq->host, rq->account, ref, e);
    if (r == 0)
        r = host_image_get(rq->host, rq->account, ref, &i, e);
    return r < 0 ? r : answer(rq->host, &i, ret);
}

/* ---- uploads ---- */

struct incoming {
    struct host *host;
    struct image_upload *upload;
};

static int write_some(void *arg, const void *data, size_t len, struct err *e)
{
    struct incoming *in = arg;
    return image_upload_write(in->upload, data, len, e);
}

static int finish(void *arg, struct answer *ret, struct err *e)
{
    struct incoming *in = arg;
    struct image_info i;
    int r = image_upload_finish(in->upload, &i, e);
    return r < 0 ? r : answer(in->host, &i, ret);
}

static void drop(void *arg)
{
    struct incoming *in = arg;
    image_upload_free(in->upload);
    free(in);
}

static int upload(struct request *rq, enum image_part part, struct upload *ret, struct err *e)
{
    char ref[NATIVE_IMAGE_REF_SIZE];
    auto_free struct incoming *in = calloc(1, sizeof(*in));
    if (!in)
        return err_errno(e, -ENOMEM, "take a file");
    image_ref(rq, ref);
    in->host = rq->host;
    int r = request_check_raw(rq, e);
    if (r == 0)
        r = host_image_upload(rq->host, rq->account, ref, part, request_length(rq), &in->upload, e);
    if (r == 0)
        *ret = (struct upload){
            .write = write_some, .finish = finish, .free = drop, .arg = TAKE_PTR(in)};
    return r;
}

static int put_kernel(struct request *rq, struct upload *ret, struct err *e)
{
    return upload(rq, IMAGE_KERNEL, ret, e);
}

static int put_rootfs(struct request *rq, struct upload *ret, struct err *e)
{
    return upload(rq, IMAGE_ROOTFS, ret, e);
}

/* ---- rows ---- */

static const struct field image_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "What `image` of a launch is; or the id"},
    {"description", FIELD_TEXT, FIELD_REQUIRED, .doc = "What is in it"},
    {"state", FIELD_TEXT, FIELD_REQUIRED, .doc = "ready, preparing, missing or failed"},
    {"detail", FIELD_TEXT, FIELD_REQUIRED, .doc = "Why it cannot be launched; else empty"},
    {"builtin", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it is Holm's own: nobody changes it"},
    {"isDefault", FIELD_BOOL, FIELD_REQUIRED,
     .doc = "Whether the account's launches take it when they name none"},
    {"hasKernel", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it has a kernel"},
    {"hasRootfs", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it has a root file system"},
    {"diskGiB", FIELD_NUMBER, FIELD_REQUIRED, .doc = "Its size, the least of a VM's disk"},
    {"kernelBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Size of the kernel"},
    {"allocatedBytes", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "What its root file system takes on the host's disk"},
    {"sharedBytes", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "Of these, what other files have too (reflinks)"},
    {"languages", FIELD_TEXTS, FIELD_REQUIRED, .doc = "Those that run in it"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},
    {"kernelUploadedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "When the kernel came; null: never"},
    {"rootfsUploadedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "When the root file system came; null: never"},
    {0},
};

const struct route native_image_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/images", "listImages"),
        .handler = list,
        .response = image_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "Images that VMs can be launched from: Holm's own, then the account's",
    },
    {
        NATIVE_ROW(POST, "/v1/images", "createImage"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct image_input),
        .response = image_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT,
        .doc = "Make an image; it can be launched once its two files are uploaded",
    },
    {
        NATIVE_ROW(GET, "/v1/images/{id}", "getImage"),
        .handler = get,
        .response = image_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "One image, by id or name",
    },
    {
        NATIVE_ROW(PATCH, "/v1/images/{id}", "updateImage"),
        .handler = update,
        .request = update_request,
        .input_bytes = sizeof(struct image_input),
        .response = image_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Change an image's name or description",
    },
    {
        NATIVE_ROW(DELETE, "/v1/images/{id}", "deleteImage"),
        .handler = delete,
        .response = native_deleted_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Delete an image that no VM and no snapshot is made from",
    },
    {
        NATIVE_ROW(POST, "/v1/images/{id}/set-default", "setDefaultImage"),
        .handler = set_default,
        .response = image_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "From now on the account's launches take it when they name none",
    },
    {
        NATIVE_ROW(PUT, "/v1/images/{id}/kernel", "putImageKernel"),
        .upload = put_kernel,
        .upload_types = UPLOAD_TYPE("application/octet-stream"),
        .response = image_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Upload the kernel: a bzImage, or an ELF vmlinux with the PVH entry",
    },
    {
        NATIVE_ROW(PUT, "/v1/images/{id}/rootfs", "putImageRootfs"),
        .upload = put_rootfs,
        .upload_types = UPLOAD_TYPE("application/octet-stream"),
        .response = image_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Upload the root file system: a raw ext4",
    },
    {0},
};

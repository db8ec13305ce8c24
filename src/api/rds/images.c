/* SPDX-License-Identifier: Apache-2.0 */

/* Images: what is said of them, and their files as streams. */

#include "host/images.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"

/* ---- the image object ---- */

static json_t *file_name(bool is_there, const char *name)
{
    return is_there ? json_string(name) : json_null();
}

static json_t *image_json(const struct image_info *i)
{
    json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "id", rds_id_json(RDS_IMAGE_PREFIX, i->id),
                          "name", text_json(i->name, strlen(i->name)), "description",
                          text_json(i->description, strlen(i->description)), "createdAt",
                          rds_time_json(i->created_ns));
    json_object_set_new(o, "kernelFilename", file_name(i->has_kernel, "vmlinuz"));
    json_object_set_new(o, "rootfsFilename", file_name(i->has_rootfs, "rootfs.ext4"));
    json_object_set_new(o, "baseRootfsBytes",
                        i->has_rootfs ? json_integer(i->disk_bytes) : json_null());
    json_object_set_new(o, "kernelUploadedAt", rds_time_json(i->kernel_uploaded_ns));
    json_object_set_new(o, "rootfsUploadedAt", rds_time_json(i->rootfs_uploaded_ns));
    json_object_set_new(o, "isDefault", json_boolean(i->is_default));
    json_object_set_new(o, "hasKernel", json_boolean(i->has_kernel));
    json_object_set_new(o, "hasRootfs", json_boolean(i->has_rootfs));
    json_object_set_new(o, "builtin", json_boolean(i->builtin));
    return o;
}

static const struct field image_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "img-UUID"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},
    {"description", FIELD_TEXT, FIELD_REQUIRED, .doc = "Likewise"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "When it was made"},
    {"kernelFilename", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "null without one"},
    {"rootfsFilename", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "Likewise"},
    {"baseRootfsBytes", FIELD_INTEGER, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "Size of the root file system"},
    {"kernelUploadedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "null: never"},
    {"rootfsUploadedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "Likewise"},
    {"isDefault", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether VMs are made from it by default"},
    {"hasKernel", FIELD_BOOL, FIELD_REQUIRED, .doc = "It can be used with both"},
    {"hasRootfs", FIELD_BOOL, FIELD_REQUIRED, .doc = "Likewise"},
    {"builtin", FIELD_BOOL, FIELD_REQUIRED, .doc = "Holm's own: everyone's, cannot be changed"},
    {0},
};

/* ---- GET, POST, DELETE ---- */

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    auto_free struct image_info *images = NULL;
    size_t n = 0;
    int r = host_image_list(rq->host, rq->account, &images, &n, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret->json, image_json(&images[i]));
    return ret->json ? 0 : -ENOMEM;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct image_info image;
    int r = rds_id(rq, 0, RDS_IMAGE, id, e);
    if (r == 0)
        r = rds_failed(host_image_get(rq->host, rq->account, id, &image, e), RDS_IMAGE, e);
    if (r < 0)
        return r;
    ret->json = image_json(&image);
    return ret->json ? 0 : -ENOMEM;
}

struct create_input {
    struct field_text name, description;
};

#define AT(member) offsetof(struct create_input, member)

/* Both are needed, and the handler has the words for that. */
static const struct field create_request[] = {
    {"name", FIELD_TEXT, 0, AT(name), .max_bytes = IMAGE_NAME_SIZE - 1,
     .doc = "For people; needed"},
    {"description", FIELD_TEXT, 0, AT(description), .max_bytes = IMAGE_DESCRIPTION_SIZE - 1,
     .doc = "Likewise"},
    {0},
};

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct create_input *in = rq->input.data;
    struct image_info image;
    if (!in->name.len || !in->description.len)
        return err_field(e, in->name.len ? "description" : "name",
                         "name and description are required");
    int r =
        host_image_create(rq->host, rq->account, in->name.data, in->description.data, &image, e);
    if (r < 0)
        return r;
    ret->json = image_json(&image);
    return ret->json ? 0 : -ENOMEM;
}

typedef int (*image_call)(struct host *h, const char *account, const char *id, struct err *e);

static int call(image_call fn, struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = rds_id(rq, 0, RDS_IMAGE, id, e);
    if (r == 0)
        r = rds_failed(fn(rq->host, rq->account, id, e), RDS_IMAGE, e);
    ret->status = 204;
    return r;
}

static int set_default(struct request *rq, struct answer *ret, struct err *e)
{
    return call(host_image_set_default, rq, ret, e);
}

/* Holm's own are deleted by the native API only: this one's clients take them for granted. */
static int delete_own(struct host *h, const char *account, const char *id, struct err *e)
{
    struct image_info image;
    int r = host_image_get(h, account, id, &image, e);
    if (r == 0 && image.builtin)
        r = err_set(e, ERR_FORBIDDEN, "image %s is Holm's own and cannot be deleted", image.name);
    return r < 0 ? r : host_image_delete(h, account, id, e);
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    return call(delete_own, rq, ret, e);
}

/* ---- PUT kernel, rootfs ---- */

static int upload_write(void *arg, const void *data, size_t len, struct err *e)
{
    return image_upload_write(arg, data, len, e);
}

static int upload_finish(void *arg, struct answer *ret, struct err *e)
{
    struct image_info image;
    ret->status = 204;
    return rds_failed(image_upload_finish(arg, &image, e), RDS_IMAGE, e);
}

static void upload_free(void *arg)
{
    image_upload_free(arg);
}

static int begin_upload(struct request *rq, enum image_part part, struct upload *ret, struct err *e)
{
    char id[ID_SIZE];
    struct image_upload *u = NULL;
    int r = request_check_raw(rq, e);
    if (r == 0)
        r = rds_id(rq, 0, RDS_IMAGE, id, e);
    if (r == 0)
        r = rds_failed(
            host_image_upload(rq->host, rq->account, id, part, request_length(rq), &u, e),
            RDS_IMAGE, e);
    if (r < 0)
        return r;
    *ret = (struct upload){
        .write = upload_write, .finish = upload_finish, .free = upload_free, .arg = u};
    return 0;
}

static int put_kernel(struct request *rq, struct upload *ret, struct err *e)
{
    return begin_upload(rq, IMAGE_KERNEL, ret, e);
}

static int put_rootfs(struct request *rq, struct upload *ret, struct err *e)
{
    return begin_upload(rq, IMAGE_ROOTFS, ret, e);
}

/* ---- rows ---- */

#define CALL(m, path_end, op, fn, text)                                                            \
    {                                                                                              \
        RDS_ROW(m, "/rds/v1/images/{id}" path_end, op),                                            \
            .handler = fn, .content_type = "", .success = 204, .flags = ROUTE_ACCOUNT, .doc = text \
    }
#define UPLOAD(path_end, op, fn, text)                                                       \
    {                                                                                        \
        RDS_ROW(PUT, "/rds/v1/images/{id}" path_end, op),                                    \
            .upload = fn, .content_type = "", .success = 204,                                \
            .upload_types = UPLOAD_TYPE("application/octet-stream"), .flags = ROUTE_ACCOUNT, \
            .doc = text                                                                      \
    }

const struct route rds_image_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/images", "rdsListImages"),
        .handler = list,
        .response = image_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "Built-in images and the account's own",
    },
    {
        RDS_ROW(POST, "/rds/v1/images", "rdsCreateImage"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct create_input),
        .response = image_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT,
        .doc = "An image, still without its files",
    },
    {
        RDS_ROW(GET, "/rds/v1/images/{id}", "rdsGetImage"),
        .handler = get,
        .response = image_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "One image",
    },
    UPLOAD("/kernel", "rdsPutImageKernel", put_kernel, "Upload its kernel"),
    UPLOAD("/rootfs", "rdsPutImageRootfs", put_rootfs, "Upload its root file system"),
    CALL(POST, "/set-default", "rdsSetDefaultImage", set_default, "Make VMs from it by default"),
    CALL(DELETE, "", "rdsDeleteImage", delete, "Delete an image that nothing is made from"),
    {0},
};

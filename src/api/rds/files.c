/* SPDX-License-Identifier: Apache-2.0 */

/* Files in and out as tar.gz. An upload is held and looked at to its end before the VM hears of it;
 * a download is compressed as the guest packs it. */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/native/watch.h"
#include "api/rds/rds.h"
#include "api/rds/workspace.h"
#include "base/cleanup.h"
#include "host/archive.h"
#include "host/vms_guest.h"

#define GZIP "application/gzip"

struct path_query {
    struct field_text path;
};

/* Not FIELD_REQUIRED: "dest is required" is this API's own sentence. */
#define PATH_FIELD(name, text)                                              \
    {                                                                       \
        name, FIELD_TEXT, 0, offsetof(struct path_query, path), .doc = text \
    }

static const struct field upload_query[] = {
    PATH_FIELD("dest", "Required: the directory, within /workspace; made when it is missing"),
    {0},
};

static const struct field download_query[] = {
    PATH_FIELD("path", "Required: a directory or file within /workspace"),
    {0},
};

/* A stream of the VM and what stands at its ends. */
struct transfer {
    struct request *rq;
    char vm[ID_SIZE];
    char path[AGENT_PATH_MAX_BYTES]; /* relative to the workspace */
    struct archive *archive;         /* of an upload */
    struct archive_reader *reader;   /* of a download */
    struct vm_stream *stream;
    struct watch *watch;
};

static void transfer_done(struct transfer *t)
{
    if (!t)
        return;
    watch_free(t->watch);
    archive_reader_free(t->reader);
    vm_stream_free(t->stream);
    archive_free(t->archive);
    free(t);
}
DEFINE_AUTO(struct transfer *, transfer_done)

static void drop(void *arg)
{
    transfer_done(arg);
}

static struct guest_tree tree_of(const struct transfer *t)
{
    return (struct guest_tree){
        .root = RDS_WORKSPACE, .path = t->path, .uid = RDS_USER, .gid = RDS_USER};
}

/* The VM runs now: nobody sends an archive to learn that it could not be unpacked. */
static int check_running(struct request *rq, const char *vm, const char *what, struct err *e)
{
    struct vm_info v = {0};
    int r = host_vm_get(rq->host, rq->account, vm, &v, e);
    if (r < 0)
        return rds_failed(r, RDS_VM, e);
    if (v.state != VM_RUNNING)
        r = err_set(e, ERR_CONFLICT, "it does not run");
    vm_info_done(&v);
    return rds_not_running(rq, vm, what, r, e);
}

/* What a request is about: which parameter, and what it does, for people. */
struct purpose {
    const char *field, *what;
};
static const struct purpose uploading = {"dest", "upload files"};
static const struct purpose downloading = {"path", "download files"};

static int transfer_new(struct request *rq, const struct purpose *p, struct transfer **ret,
                        struct err *e)
{
    const struct path_query *q = rq->query.data;
    CLEANUP(transfer_donep) struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(e, -ENOMEM, "transfer files");
    t->rq = rq;
    int r = rds_id(rq, 0, RDS_VM, t->vm, e);
    r = r < 0 ? r : rds_workspace_path(p->field, q->path.data, t->path, e);
    r = r < 0 ? r : check_running(rq, t->vm, p->what, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(t);
    return 0;
}

/* ---- upload ---- */

static const char *const upload_types[] = {GZIP, "application/x-gzip", "application/octet-stream",
                                           NULL};

/* A client that says nothing means what this takes. */
static int check_type(const struct request *rq, struct err *e)
{
    if (!request_header(rq, "Content-Type"))
        return 0;
    for (size_t i = 0; upload_types[i]; i++)
        if (request_content_is(rq, upload_types[i]))
            return 0;
    return err_set(e, ERR_UNSUPPORTED, "Content-Type must be " GZIP);
}

/* One that says that it is too large need not send it. */
static int check_length(const struct request *rq, struct err *e)
{
    if (request_length(rq) > (int64_t)ARCHIVE_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "Body too large");
    return 0;
}

static int take_some(void *arg, const void *data, size_t len, struct err *e)
{
    struct transfer *t = arg;
    return archive_add(t->archive, data, len, e);
}

static int write_some(void *arg, const void *data, size_t len, struct err *e)
{
    struct transfer *t = arg;
    return vm_stream_write(t->stream, data, len, e);
}

static int unpack(struct transfer *t, struct err *e)
{
    const struct request *rq = t->rq;
    const struct guest_tree tree = tree_of(t);
    const struct archive_sink sink = {.write = write_some, .arg = t};
    int r = archive_finish(t->archive, e);
    r = r < 0 ? r : host_vm_unpack(rq->host, rq->account, t->vm, &tree, &t->stream, e);
    r = r < 0 ? r : watch_start(t->stream, rq->fd, 0, &t->watch, e);
    r = r < 0 ? r : archive_repack(t->archive, &sink, e);
    return r < 0 ? r : vm_stream_finish(t->stream, e);
}

static int finish(void *arg, struct answer *ret, struct err *e)
{
    struct transfer *t = arg;
    int r = unpack(t, e);
    return rds_not_running(t->rq, t->vm, uploading.what, r, e);
}

static int upload(struct request *rq, struct upload *ret, struct err *e)
{
    CLEANUP(transfer_donep) struct transfer *t = NULL;
    int r = transfer_new(rq, &uploading, &t, e);
    r = r < 0 ? r : check_type(rq, e);
    r = r < 0 ? r : check_length(rq, e);
    r = r < 0 ? r : archive_new(strlen(RDS_WORKSPACE "/") + strlen(t->path), &t->archive, e);
    if (r < 0)
        return r;
    *ret = (struct upload){.write = take_some, .finish = finish, .free = drop, .arg = TAKE_PTR(t)};
    return 0;
}

/* ---- download ---- */

static ssize_t read_some(void *arg, char *buf, size_t max)
{
    struct transfer *t = arg;
    struct err e = ERR_INIT;
    return answer_stream_read(archive_read(t->reader, buf, max, &e), "rds", &e);
}

static ssize_t read_nothing(void *arg, char *buf, size_t max)
{
    return ANSWER_STREAM_END;
}

/* Browsers ask where to keep it. Only what needs no quoting becomes part of the name. */
static void name_it(const struct transfer *t, struct answer *ret)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *slash = strrchr(t->path, '/'), *name = slash ? slash + 1 : t->path;
    size_t len = strlen(name);
    bool is_plain = len > 0 && len <= 200 && strspn(name, plain) == len;
    answer_header(ret, "Content-Disposition", "attachment; filename=\"%s.tar.gz\"",
                  is_plain ? name : "workspace");
}

static int open_download(struct transfer *t, struct err *e)
{
    const struct request *rq = t->rq;
    const struct guest_tree tree = tree_of(t);
    int r = host_vm_pack(rq->host, rq->account, t->vm, &tree, &t->stream, e);
    r = r < 0 ? r : watch_start(t->stream, rq->fd, 0, &t->watch, e);
    return r < 0 ? r : archive_reader_new(t->stream, &t->reader, e);
}

static int download(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(transfer_donep) struct transfer *t = NULL;
    int r = transfer_new(rq, &downloading, &t, e);
    if (r < 0)
        return r;
    r = open_download(t, e);
    if (r < 0)
        return rds_not_running(rq, t->vm, downloading.what, r, e);
    name_it(t, ret);
    ret->stream.read = rq->is_head ? read_nothing : read_some;
    ret->stream.free = drop;
    ret->stream.arg = TAKE_PTR(t);
    return 0;
}

/* ---- rows ---- */

const struct route rds_file_routes[] = {
    {
        RDS_ROW(POST, "/rds/v1/vms/{id}/files/upload", "rdsUploadFiles"),
        .upload = upload,
        .query = upload_query,
        .query_bytes = sizeof(struct path_query),
        .upload_types = upload_types,
        .content_type = "",
        .success = 204,
        .rate_per_min = 30,
        .flags = ROUTE_ACCOUNT,
        .doc = "Unpack a tar.gz into a directory",
    },
    {
        RDS_ROW(GET, "/rds/v1/vms/{id}/files/download", "rdsDownloadFiles"),
        .handler = download,
        .query = download_query,
        .query_bytes = sizeof(struct path_query),
        .content_type = GZIP,
        .rate_per_min = 60,
        .flags = ROUTE_ACCOUNT,
        .doc = "A directory or file as tar.gz",
    },
    {0},
};

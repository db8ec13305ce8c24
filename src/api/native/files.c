/* SPDX-License-Identifier: Apache-2.0 */

/* Files and directories of a VM, straight through: nothing is kept here. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/native/native.h"
#include "api/native/transfer.h"
#include "base/cleanup.h"
#include "base/limits.h"

#define TAR "application/x-tar"
#define JSON "application/json" /* of rows that answer with bytes otherwise */

/* ---- paths ---- */

struct path_query {
    struct field_text path, mode;
    bool stat, list;
    int64_t uid, gid;
};

#define AT(member) offsetof(struct path_query, member)
#define PATH_ROW                                          \
    {                                                     \
        "path", FIELD_TEXT, FIELD_REQUIRED, AT(path),     \
            .min = 1, .max_bytes = AGENT_PATH_MAX_BYTES,  \
            .doc = "Absolute, in the guest's file system" \
    }

static const struct field get_query[] = {
    PATH_ROW,
    {"stat", FIELD_BOOL, 0, AT(stat), .doc = "1: what it is instead of what is in it"},
    {"list", FIELD_BOOL, 0, AT(list), .doc = "1: what a directory's entries are"},
    {0},
};

static const struct field put_query[] = {
    PATH_ROW,
    {"mode", FIELD_TEXT, 0, AT(mode), .max_bytes = 5, .doc = "Permission bits, octal; 0644"},
    {"uid", FIELD_INTEGER, 0, AT(uid), .min = 0, .max = UINT32_MAX - 1, .doc = "Its owner; 0"},
    {"gid", FIELD_INTEGER, 0, AT(gid), .min = 0, .max = UINT32_MAX - 1, .doc = "Its group; 0"},
    {0},
};

static const struct field delete_query[] = {PATH_ROW, {0}};

/* The VM and the checked query of a request. */
static int begin(const struct request *rq, char ret_vm[ID_SIZE], const struct path_query **ret,
                 struct err *e)
{
    int r = native_vm(rq, ret_vm, e);
    if (r < 0)
        return r;
    *ret = rq->query.data;
    if ((*ret)->path.data[0] != '/')
        return err_field(e, "path", "parameter \"path\" must be an absolute path");
    return 0;
}

/* ---- what is there ---- */

static const char *const types[] = {
    [GUEST_FILE] = "file",   [GUEST_DIR] = "dir",      [GUEST_LINK] = "link",
    [GUEST_OTHER] = "other", [GUEST_OTHER + 1] = NULL,
};

static json_t *mode_json(unsigned mode)
{
    char text[8];
    snprintf(text, sizeof(text), "%04o", mode & 07777);
    return json_string(text);
}

static int answer_stat(const struct request *rq, const char *vm, const struct path_query *q,
                       struct answer *ret, struct err *e)
{
    struct guest_stat st = {0};
    int r = host_vm_stat(rq->host, rq->account, vm, q->path.data, &st, e);
    if (r < 0)
        return r;
    ret->content_type = JSON;
    ret->json = json_pack("{s:s, s:s, s:I, s:o, s:I, s:I, s:I}", "path", q->path.data, "type",
                          types[st.type], "size", (json_int_t)st.size, "mode", mode_json(st.mode),
                          "uid", (json_int_t)st.uid, "gid", (json_int_t)st.gid, "mtimeMs",
                          (json_int_t)st.mtime_ms);
    return ret->json ? 0 : -ENOMEM;
}

/* One entry of the guest's list in our words. */
static json_t *entry_json(const char *dir, const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
    json_t *mode = json_object_get(entry, "mode");
    return json_pack(
        "{s:s, s:s++, s:O, s:O, s:o, s:O, s:O, s:O}", "name", name, "path", dir, slash, name,
        "type", json_object_get(entry, "type"), "size", json_object_get(entry, "size"), "mode",
        mode_json((unsigned)json_integer_value(mode)), "uid", json_object_get(entry, "uid"), "gid",
        json_object_get(entry, "gid"), "mtimeMs", json_object_get(entry, "mtime_ms"));
}

static int answer_list(const struct request *rq, const char *vm, const struct path_query *q,
                       struct answer *ret, struct err *e)
{
    json_t *list = NULL;
    int r = host_vm_list_dir(rq->host, rq->account, vm, q->path.data, &list, e);
    if (r < 0)
        return r;
    json_t *entries = json_array();
    for (size_t i = 0; i < json_array_size(list); i++)
        json_array_append_new(entries, entry_json(q->path.data, json_array_get(list, i)));
    json_decref(list);
    ret->content_type = JSON;
    ret->json = json_pack("{s:o}", "entries", entries);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- GET ---- */

/* What a read needs. */
struct reading {
    const struct request *rq;
    const char *vm, *path;
    int64_t offset, length; /* length < 0: to the end, however long that is */
};

static ssize_t read_nothing(void *arg, char *buf, size_t max)
{
    return ANSWER_STREAM_END;
}

static void free_nothing(void *arg)
{
}

/* Of HEAD: the headers of what would come. */
static void answer_head(int64_t length, struct answer *ret)
{
    ret->stream.read = read_nothing;
    ret->stream.free = free_nothing;
    ret->stream.has_length = length >= 0;
    ret->stream.length = length >= 0 ? (uint64_t)length : 0;
}

static int open_reading(const struct reading *rd, bool as_tar, struct transfer *t, struct err *e)
{
    const struct request *rq = rd->rq;
    if (as_tar)
        return host_vm_tar_read(rq->host, rq->account, rd->vm, rd->path, &t->stream, e);
    struct guest_range g = {.path = rd->path, .offset = rd->offset, .length = rd->length};
    return host_vm_file_read(rq->host, rq->account, rd->vm, &g, &t->stream, e);
}

static int answer_read(const struct reading *rd, bool as_tar, struct answer *ret, struct err *e)
{
    CLEANUP(transfer_freep) struct transfer *t = NULL;
    int r = transfer_new(rd->path, &t, e);
    if (r == 0)
        r = open_reading(rd, as_tar, t, e);
    if (r == 0)
        r = transfer_watch(t, rd->rq, 0, e);
    if (r < 0)
        return r;
    ret->content_type = as_tar ? TAR : "application/octet-stream";
    transfer_answer(TAKE_PTR(t), rd->length, ret);
    return 0;
}

static int answer_dir(const struct reading *rd, struct answer *ret, struct err *e)
{
    ret->content_type = TAR;
    if (!rd->rq->is_head)
        return answer_read(rd, true, ret, e);
    answer_head(-1, ret);
    return 0;
}

/* A size of 0 may be that of a file of /proc, which has more to say. */
static int answer_file_of(struct reading *rd, int64_t size, struct answer *ret, struct err *e)
{
    struct byte_range range = {0};
    int r = size > 0 ? answer_range(rd->rq, (uint64_t)size, ret, &range, e) : 0;
    if (r < 0)
        return r;
    rd->offset = (int64_t)range.offset;
    rd->length = size > 0 ? (int64_t)range.length : -1;
    if (!rd->rq->is_head)
        return answer_read(rd, false, ret, e);
    answer_head(rd->length, ret);
    return 0;
}

/* What it leads to is not known: a file first. */
static int answer_link(struct reading *rd, struct answer *ret, struct err *e)
{
    struct err not_a_file = ERR_INIT;
    if (rd->rq->is_head) {
        answer_head(-1, ret);
        return 0;
    }
    int r = answer_read(rd, false, ret, &not_a_file);
    if (r < 0 && not_a_file.class == ERR_CONFLICT)
        return answer_read(rd, true, ret, e);
    if (r < 0)
        *e = not_a_file;
    return r;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char vm[ID_SIZE];
    const struct path_query *q;
    struct guest_stat st = {0};
    int r = begin(rq, vm, &q, e);
    if (r == 0 && q->stat)
        return answer_stat(rq, vm, q, ret, e);
    if (r == 0 && q->list)
        return answer_list(rq, vm, q, ret, e);
    if (r == 0)
        r = host_vm_stat(rq->host, rq->account, vm, q->path.data, &st, e);
    if (r < 0)
        return r;
    struct reading rd = {.rq = rq, .vm = vm, .path = q->path.data, .length = -1};
    switch (st.type) {
    case GUEST_DIR:
        return answer_dir(&rd, ret, e);
    case GUEST_FILE:
        return answer_file_of(&rd, st.size, ret, e);
    case GUEST_LINK:
        return answer_link(&rd, ret, e);
    case GUEST_OTHER:
        break;
    }
    return err_set(e, ERR_CONFLICT, "%.200s is neither a file nor a directory", rd.path);
}

/* ---- PUT ---- */

static int parse_mode(const struct field_text *text, unsigned *ret, struct err *e)
{
    char *end;
    unsigned long mode = text->data ? strtoul(text->data, &end, 8) : 0644;
    bool ok = !text->data || (text->len && strspn(text->data, "01234567") == text->len);
    if (!ok || mode > 07777)
        return err_field(e, "mode",
                         "parameter \"mode\" must be octal digits up to 7777, not "
                         "\"%.10s\"",
                         text->data);
    *ret = (unsigned)mode;
    return 0;
}

static int write_some(void *arg, const void *data, size_t len, struct err *e)
{
    struct transfer *t = arg;
    t->bytes += len;
    return vm_stream_write(t->stream, data, len, e);
}

static int finish(void *arg, struct answer *ret, struct err *e)
{
    struct transfer *t = arg;
    int r = vm_stream_finish(t->stream, e);
    if (r < 0)
        return r;
    ret->json = json_pack("{s:s, s:I}", "path", t->path, "size", (json_int_t)t->bytes);
    return ret->json ? 0 : -ENOMEM;
}

static void drop(void *arg)
{
    transfer_free(arg);
}

static int open_writing(const struct request *rq, const char *vm, const struct path_query *q,
                        struct transfer *t, struct err *e)
{
    struct guest_file f = {.path = q->path.data, .uid = (uint32_t)q->uid, .gid = (uint32_t)q->gid};
    int r = parse_mode(&q->mode, &f.mode, e);
    if (r < 0)
        return r;
    if (request_content_is(rq, TAR))
        return host_vm_tar_write(rq->host, rq->account, vm, f.path, &t->stream, e);
    return host_vm_file_write(rq->host, rq->account, vm, &f, &t->stream, e);
}

static int put(struct request *rq, struct upload *ret, struct err *e)
{
    char vm[ID_SIZE];
    const struct path_query *q;
    CLEANUP(transfer_freep) struct transfer *t = NULL;
    int r = begin(rq, vm, &q, e);
    if (r == 0)
        r = transfer_new(q->path.data, &t, e);
    if (r == 0)
        r = open_writing(rq, vm, q, t, e);
    if (r == 0)
        r = transfer_watch(t, rq, 0, e);
    if (r < 0)
        return r;
    *ret = (struct upload){.write = write_some, .finish = finish, .free = drop, .arg = TAKE_PTR(t)};
    return 0;
}

/* ---- DELETE ---- */

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char vm[ID_SIZE];
    const struct path_query *q;
    int r = begin(rq, vm, &q, e);
    if (r == 0)
        r = host_vm_remove(rq->host, rq->account, vm, q->path.data, e);
    if (r < 0)
        return r;
    ret->json = json_pack("{s:s, s:b}", "path", q->path.data, "deleted", true);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- rows ---- */

static const struct field stat_fields[] = {
    {"path", FIELD_TEXT, FIELD_REQUIRED, .doc = "Where it is"},
    {"name", FIELD_TEXT, 0, .doc = "Its last part; in lists"},
    {"type", FIELD_CHOICE, FIELD_REQUIRED, .choices = types, .doc = "Links are not followed"},
    {"size", FIELD_INTEGER, FIELD_REQUIRED, .doc = "In bytes"},
    {"mode", FIELD_TEXT, FIELD_REQUIRED, .doc = "Permission bits, octal"},
    {"uid", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Its owner"},
    {"gid", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Its group"},
    {"mtimeMs", FIELD_INTEGER, FIELD_REQUIRED, .doc = "When it was last changed"},
    {0},
};

static const struct field list_fields[] = {
    {"entries", FIELD_OBJECTS, FIELD_REQUIRED, .fields = stat_fields, .doc = "In no order"},
    {0},
};

static const struct route_success get_others[] = {
    {200, stat_fields, .doc = "With stat=1"},
    {200, list_fields, .doc = "With list=1"},
    {206, NULL, "application/octet-stream", "A part, with Range"},
    {0},
};

static const struct field put_fields[] = {
    {"path", FIELD_TEXT, FIELD_REQUIRED, .doc = "Where it is now"},
    {"size", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Bytes that came"},
    {0},
};

static const struct field removed_fields[] = {
    {"path", FIELD_TEXT, FIELD_REQUIRED, .doc = "Where it was"},
    {"deleted", FIELD_BOOL, FIELD_REQUIRED, .doc = "true"},
    {0},
};

const struct route native_file_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/files", "getFile"),
        .handler = get,
        .query = get_query,
        .query_bytes = sizeof(struct path_query),
        .content_type = "application/octet-stream",
        .others = get_others,
        .flags = ROUTE_ACCOUNT | ROUTE_RANGES,
        .doc = "A file as it is, a directory as tar",
    },
    {
        NATIVE_ROW(PUT, "/v1/vms/{id}/files", "putFile"),
        .upload = put,
        .query = put_query,
        .query_bytes = sizeof(struct path_query),
        .response = put_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT,
        .doc = "Write a file, or unpack a tar into a directory",
    },
    {
        NATIVE_ROW(DELETE, "/v1/vms/{id}/files", "deleteFile"),
        .handler = delete,
        .query = delete_query,
        .query_bytes = sizeof(struct path_query),
        .response = removed_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Remove a file or a directory with all that is in it",
    },
    {0},
};

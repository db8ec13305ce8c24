/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/native/native.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"

static const char *const states[] = {
    [SNAPSHOT_CREATING] = "creating",
    [SNAPSHOT_READY] = "ready",
    [SNAPSHOT_ERROR] = "error",
    [SNAPSHOT_ERROR + 1] = NULL,
};

static json_t *snapshot_json(const struct snapshot_info *s)
{
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}", "id", native_id_json(s->id), "name",
                          text_json(s->name, strlen(s->name)), "orgId", native_id_json(s->account),
                          "vmId", native_id_json(s->vm), "status", states[s->state], "createdAt",
                          native_time_json(s->created_ns));
    json_object_set(o, "firewall", s->firewall);
    json_object_set(o, "metadata", s->metadata);
    json_object_set(o, "envVars", s->env);
    json_object_set_new(o, "services", json_array());
    json_object_set_new(o, "machineType", json_string(s->machine_type));
    json_object_set_new(o, "cpu", json_integer(s->shape.vcpus));
    json_object_set_new(o, "memoryMiB", json_integer(s->shape.memory_mib));
    json_object_set_new(o, "diskGiB", native_gib_json(s->disk_bytes));
    json_object_set_new(o, "image", native_image_json(s->image));
    json_object_set_new(o, "sizeBytes", json_integer(s->size_bytes));
    json_object_set_new(o, "pauseMs", json_real((double)s->pause_us / 1000));
    return o;
}

static int answer(struct snapshot_info *s, struct answer *ret)
{
    ret->json = snapshot_json(s);
    snapshot_info_done(s);
    return ret->json ? 0 : -ENOMEM;
}

static int snapshot_id(const struct request *rq, char ret[ID_SIZE], struct err *e)
{
    return native_id(rq, 0, "snapshot", ret, e);
}

/* ---- handlers ---- */

struct create_input {
    struct field_text vm, name;
};

static const struct field create_request[] = {
    {"vmId", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct create_input, vm), .max_bytes = 64,
     .doc = "A running or paused VM"},
    {"name", FIELD_TEXT, 0, offsetof(struct create_input, name), .max_bytes = VM_NAME_MAX_BYTES,
     .doc = "For people; trimmed, cut to 64 characters, made up when missing"},
    {0},
};

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct create_input *in = rq->input.data;
    char vm[ID_SIZE];
    struct snapshot_info s = {0};
    int r = native_parse_id(in->vm.data, "VM", vm, e);
    if (r == 0)
        r = host_snapshot_create(rq->host, rq->account, vm, in->name.data, &s, e);
    return r < 0 ? r : answer(&s, ret);
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(snapshot_list_done) struct snapshot_list l = {0};
    int r = host_snapshot_list(rq->host, rq->account, &l, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < l.n; i++)
        json_array_append_new(ret->json, snapshot_json(&l.items[i]));
    return ret->json ? 0 : -ENOMEM;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct snapshot_info s = {0};
    int r = snapshot_id(rq, id, e);
    if (r == 0)
        r = host_snapshot_get(rq->host, rq->account, id, &s, e);
    return r < 0 ? r : answer(&s, ret);
}

struct rename_input {
    struct field_text name;
};

static const struct field rename_request[] = {
    {"name", FIELD_TEXT, 0, offsetof(struct rename_input, name), .max_bytes = VM_NAME_MAX_BYTES,
     .doc = "Another name"},
    {0},
};

static int rename_snapshot(struct request *rq, struct answer *ret, struct err *e)
{
    const struct rename_input *in = rq->input.data;
    char id[ID_SIZE];
    struct snapshot_info s = {0};
    int r = snapshot_id(rq, id, e);
    if (r == 0 && in->name.data)
        r = host_snapshot_rename(rq->host, rq->account, id, in->name.data, &s, e);
    else if (r == 0)
        r = host_snapshot_get(rq->host, rq->account, id, &s, e);
    return r < 0 ? r : answer(&s, ret);
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = snapshot_id(rq, id, e);
    if (r == 0)
        r = host_snapshot_delete(rq->host, rq->account, id, e);
    return r < 0 ? r : native_deleted(id, true, ret);
}

/* ---- rows ---- */

static const struct field service_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the service"},
    {"port", FIELD_INTEGER, FIELD_REQUIRED, .doc = "In the guest"},
    {"h2c", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it speaks HTTP/2"},
    {0},
};

static const struct field snapshot_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},
    {"orgId", FIELD_TEXT, FIELD_REQUIRED, .doc = "The account it belongs to"},
    {"vmId", FIELD_TEXT, FIELD_REQUIRED, .doc = "The VM it was made of"},
    {"status", FIELD_CHOICE, FIELD_REQUIRED, .choices = states, .doc = "What it is"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},
    {"firewall", FIELD_JSON, FIELD_REQUIRED, .fields = native_firewall_fields,
     .doc = "Of the VM then"},
    {"metadata", FIELD_MAP, FIELD_REQUIRED, .doc = "Of the VM then"},
    {"envVars", FIELD_MAP, FIELD_REQUIRED, .doc = "Of the VM then"},
    {"services", FIELD_OBJECTS, FIELD_REQUIRED, .fields = service_fields, .doc = "Empty"},
    {"machineType", FIELD_TEXT, FIELD_REQUIRED, .doc = "That every VM from it will have"},
    {"cpu", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Virtual CPUs"},
    {"memoryMiB", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Memory"},
    {"diskGiB", FIELD_NUMBER, FIELD_REQUIRED, .doc = "Size of the disk"},
    {"image", FIELD_TEXT, FIELD_REQUIRED, .doc = "The image that the disk began with"},
    {"sizeBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "What it alone takes of the host's disk"},
    {"pauseMs", FIELD_NUMBER, FIELD_REQUIRED, .doc = "How long the VM stood still for it"},
    {0},
};

const struct route native_snapshot_routes[] = {
    {
        NATIVE_ROW(POST, "/v1/snapshots", "createSnapshot"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct create_input),
        .response = snapshot_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT,
        .doc = "Snapshot a running or paused VM, which goes on",
    },
    {
        NATIVE_ROW(GET, "/v1/snapshots", "listSnapshots"),
        .handler = list,
        .response = snapshot_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "The account's snapshots, newest last",
    },
    {
        NATIVE_ROW(GET, "/v1/snapshots/{id}", "getSnapshot"),
        .handler = get,
        .response = snapshot_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "One snapshot",
    },
    {
        NATIVE_ROW(PATCH, "/v1/snapshots/{id}", "renameSnapshot"),
        .handler = rename_snapshot,
        .request = rename_request,
        .input_bytes = sizeof(struct rename_input),
        .response = snapshot_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Rename a snapshot",
    },
    {
        NATIVE_ROW(DELETE, "/v1/snapshots/{id}", "deleteSnapshot"),
        .handler = delete,
        .response = native_deleted_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Delete a snapshot; VMs launched from it are not touched",
    },
    {0},
};

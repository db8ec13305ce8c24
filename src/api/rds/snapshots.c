/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"

static json_t *snapshot_json(struct request *rq, const struct snapshot_info *s)
{
    json_t *o = json_pack(
        "{s:o, s:o, s:o, s:s, s:o}", "id", rds_id_json(RDS_SNAPSHOT_PREFIX, s->id), "vmId",
        rds_id_json(RDS_VM_PREFIX, s->vm), "sourceVmId", rds_id_json(RDS_VM_PREFIX, s->vm), "kind",
        "vm", "createdAt", rds_time_json(s->created_ns));
    json_object_set_new(o, "cpu", json_integer(s->shape.vcpus));
    json_object_set_new(o, "memMb", json_integer(s->shape.memory_mib));
    json_object_set_new(o, "imageId", rds_image_id_json(rq, s->image));
    json_object_set_new(o, "hasDisk", json_true());
    json_object_set_new(o, "name", text_json(s->name, strlen(s->name)));
    json_object_set_new(o, "sizeBytes", json_integer(s->size_bytes));
    return o;
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(snapshot_list_done) struct snapshot_list l = {0};
    int r = host_snapshot_list(rq->host, rq->account, &l, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < l.n; i++) {
        if (l.items[i].state == SNAPSHOT_READY)
            json_array_append_new(ret->json, snapshot_json(rq, &l.items[i]));
    }
    return ret->json ? 0 : -ENOMEM;
}

struct create_input {
    struct field_text name;
};

static const struct field create_request[] = {
    {"name", FIELD_TEXT, 0, offsetof(struct create_input, name), .max_bytes = VM_NAME_MAX_BYTES,
     .doc = "For people; made up when missing"},
    {0},
};

/* Holm could also take one of a paused VM; clients of this API count on the refusal. */
static int check_running(struct request *rq, const char *vm, struct err *e)
{
    struct vm_info v = {0};
    int r = rds_failed(host_vm_get(rq->host, rq->account, vm, &v, e), RDS_VM, e);
    if (r == 0 && v.state != VM_RUNNING)
        r = err_set(e, ERR_CONFLICT, "VM must be RUNNING to snapshot (state=%s)",
                    rds_state(v.state));
    vm_info_done(&v);
    return r;
}

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct create_input *in = rq->input.data;
    char vm[ID_SIZE];
    struct snapshot_info s = {0};
    int r = rds_id(rq, 0, RDS_VM, vm, e);
    if (r == 0)
        r = check_running(rq, vm, e);
    if (r == 0) {
        r = host_snapshot_create(rq->host, rq->account, vm, in->name.data, &s, e);
        r = rds_not_running(rq, vm, "snapshot", r, e);
    }
    if (r < 0)
        return r;
    ret->json = snapshot_json(rq, &s);
    snapshot_info_done(&s);
    return ret->json ? 0 : -ENOMEM;
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = rds_id(rq, 0, RDS_SNAPSHOT, id, e);
    if (r == 0)
        r = rds_failed(host_snapshot_delete(rq->host, rq->account, id, e), RDS_SNAPSHOT, e);
    ret->status = 204;
    return r;
}

static const char *const kinds[] = {"vm", NULL};

static const struct field snapshot_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "snap-UUID"},
    {"vmId", FIELD_TEXT, FIELD_REQUIRED, .doc = "The VM it was made of"},
    {"sourceVmId", FIELD_TEXT, FIELD_REQUIRED, .doc = "The same"},
    {"kind", FIELD_CHOICE, FIELD_REQUIRED, .choices = kinds, .doc = "Always \"vm\""},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},
    {"cpu", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Virtual CPUs"},
    {"memMb", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Memory in MiB"},
    {"imageId", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "The image that the disk began with"},
    {"hasDisk", FIELD_BOOL, FIELD_REQUIRED, .doc = "Always true"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},
    {"sizeBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "What it alone takes of the host's disk"},
    {0},
};

const struct route rds_snapshot_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/snapshots", "rdsListSnapshots"),
        .handler = list,
        .response = snapshot_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "The account's snapshots, newest last",
    },
    {
        RDS_ROW(POST, "/rds/v1/vms/{id}/snapshots", "rdsCreateSnapshot"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct create_input),
        .response = snapshot_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT | ROUTE_BODY_OPTIONAL,
        .doc = "Snapshot a running VM, which goes on",
    },
    {
        RDS_ROW(DELETE, "/rds/v1/snapshots/{id}", "rdsDeleteSnapshot"),
        .handler = delete,
        .content_type = "",
        .success = 204,
        .flags = ROUTE_ACCOUNT,
        .doc = "Delete a snapshot; VMs made from it are not touched",
    },
    {0},
};

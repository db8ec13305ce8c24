/* SPDX-License-Identifier: Apache-2.0 */

/* VMs: launch, look, change, end. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/native/native.h"
#include "api/native/timer.h"
#include "base/cleanup.h"
#include "base/limits.h"

/* ---- POST /v1/vms ---- */

struct launch_input {
    struct field_text machine_type, snapshot, image, name;
    struct field_pairs metadata, env;
    json_t *firewall;
    int64_t cpu, memory_mib; /* both 0: not given */
    double disk_gib;         /* 0: not given */
    struct timer_input ttl, idle;
};

#define AT(member) offsetof(struct launch_input, member)

static const struct field launch_request[] = {
    {"machineType", FIELD_TEXT, 0, AT(machine_type), .max_bytes = 31,
     .doc = "A name of GET /v1/machine-types; the first one, or the snapshot's, when missing"},
    {"cpu", FIELD_INTEGER, 0, AT(cpu), .min = 1, .max = VM_VCPUS_MAX,
     .doc = "vCPUs, with memoryMiB and in the place of machineType"},
    {"memoryMiB", FIELD_INTEGER, 0, AT(memory_mib), .min = VM_MEMORY_MIN_MIB,
     .max = VM_MEMORY_MAX_MIB, .doc = "Memory, with cpu; the machine type is then cNmM"},
    {"snapshotId", FIELD_TEXT, 0, AT(snapshot), .max_bytes = 64,
     .doc = "Starts from a snapshot: memory, disk and running processes as they were"},
    {"image", FIELD_TEXT, 0, AT(image), .max_bytes = NATIVE_IMAGE_REF_SIZE - 1,
     .doc = "An id or name of GET /v1/images; not together with snapshotId"},
    {"name", FIELD_TEXT, 0, AT(name), .max_bytes = VM_NAME_MAX_BYTES,
     .doc = "For people; trimmed, cut to 64 characters, made up when missing"},
    {"metadata", FIELD_MAP, 0, AT(metadata), .max = VM_METADATA_MAX, .doc = "The owner's own"},
    {"envVars", FIELD_MAP, 0, AT(env), .doc = "Environment of every command"},
    {"firewall", FIELD_JSON, 0, AT(firewall), .fields = native_firewall_fields,
     .doc = "Network policy; every part may be missing"},
    {"diskGiB", FIELD_NUMBER, 0, AT(disk_gib), .min = 1, .max = VM_DISK_MAX_GIB,
     .doc = "Size of the disk; the image's when missing, which is the least"},
    {"ttl", FIELD_OBJECT, FIELD_NULLABLE, AT(ttl), .fields = timer_request,
     .doc = "What happens after it has run for so long"},
    {"idle", FIELD_OBJECT, FIELD_NULLABLE, AT(idle), .fields = timer_request,
     .doc = "What happens after so long without activity"},
    {0},
};

static int check_maps(json_t *metadata, json_t *env, struct err *e)
{
    int r = metadata ? native_check_metadata("metadata", metadata, e) : 0;
    return r == 0 && env ? native_check_env("envVars", env, e) : r;
}

static int check_shape(const struct launch_input *in, struct err *e)
{
    if (in->cpu && in->machine_type.data)
        return err_field(e, "cpu", "field \"cpu\" cannot be given together with \"machineType\"");
    if (!in->cpu != !in->memory_mib)
        return err_field(e, in->cpu ? "memoryMiB" : "cpu", "\"cpu\" and \"memoryMiB\" go together");
    return 0;
}

static int launch(struct request *rq, struct answer *ret, struct err *e)
{
    const struct launch_input *in = rq->input.data;
    char snapshot[ID_SIZE], image[NATIVE_IMAGE_REF_SIZE];
    int r = check_maps(in->metadata.object, in->env.object, e);
    if (r == 0)
        r = check_shape(in, e);
    if (r == 0 && in->snapshot.data && in->image.data)
        r = err_field(e, "image", "field \"image\" cannot be given together with \"snapshotId\"");
    if (r == 0 && in->snapshot.data)
        r = native_parse_id(in->snapshot.data, "snapshot", snapshot, e);
    if (r < 0)
        return r;
    native_image_ref(in->image.data ? in->image.data : "", image);
    const struct vm_launch l = {
        .account = rq->account,
        .name = in->name.data,
        .machine_type = in->machine_type.data,
        .shape = {.vcpus = (int)in->cpu, .memory_mib = (int)in->memory_mib},
        .image = in->image.data ? image : NULL,
        .snapshot = in->snapshot.data ? snapshot : NULL,
        .disk_bytes = native_gib_bytes(in->disk_gib),
        .metadata = in->metadata.object,
        .env = in->env.object,
        .firewall = in->firewall,
        .ttl = timer_of(&in->ttl),
        .idle = timer_of(&in->idle),
    };
    struct vm_info v = {0};
    r = host_vm_launch(rq->host, &l, &v, e);
    if (r < 0)
        return r;
    ret->status = v.state == VM_RUNNING ? 201 : 202;
    return native_vm_answer(&v, ret);
}

static const struct route_success launch_others[] = {
    {202, native_vm_fields, .doc = "It is queued: ask for it until its status is \"running\""},
    {0},
};

/* ---- GET /v1/vms ---- */

struct list_query {
    struct field_text status;
    struct field_pairs metadata;
};

static const struct field list_query[] = {
    {"status", FIELD_TEXT, 0, offsetof(struct list_query, status), .max_bytes = 64,
     .doc = "Only VMs of this status"},
    {"metadata", FIELD_MAP, 0, offsetof(struct list_query, metadata), .max = VM_METADATA_MAX,
     .doc = "Only VMs with this metadata: metadata.KEY=VALUE, all of them"},
    {0},
};

static bool matches(const struct list_query *q, const struct vm_info *v)
{
    if (q->status.data && strcmp(q->status.data, native_status(v->state)) != 0)
        return false;
    for (size_t i = 0; i < q->metadata.n; i++) {
        const char *has =
            json_string_value(json_object_get(v->metadata, q->metadata.items[i].name));
        if (!has || strcmp(has, q->metadata.items[i].data) != 0)
            return false;
    }
    return true;
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(vm_list_done) struct vm_list vms = {0};
    int r = host_vm_list(rq->host, rq->account, &vms, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < vms.n; i++) {
        if (matches(rq->query.data, &vms.items[i]))
            json_array_append_new(ret->json, native_vm_json(&vms.items[i]));
    }
    return ret->json ? 0 : -ENOMEM;
}

/* ---- GET, PATCH, DELETE /v1/vms/{id} ---- */

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct vm_info v = {0};
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = host_vm_get(rq->host, rq->account, id, &v, e);
    return r < 0 ? r : native_vm_answer(&v, ret);
}

struct patch_input {
    struct field_text name;
    struct field_pairs metadata;
    struct timer_input ttl, idle;
};

#undef AT
#define AT(member) offsetof(struct patch_input, member)

static const struct field patch_request[] = {
    {"name", FIELD_TEXT, 0, AT(name), .max_bytes = VM_NAME_MAX_BYTES, .doc = "Another name"},
    {"metadata", FIELD_MAP, 0, AT(metadata), .max = VM_METADATA_MAX, .doc = "Replaces all of it"},
    {"ttl", FIELD_OBJECT, FIELD_NULLABLE, AT(ttl), .fields = timer_request,
     .doc = "Another TTL, from now on; null: none"},
    {"idle", FIELD_OBJECT, FIELD_NULLABLE, AT(idle), .fields = timer_request,
     .doc = "Another idle policy; null: none"},
    {0},
};

static int patch(struct request *rq, struct answer *ret, struct err *e)
{
    const struct patch_input *in = rq->input.data;
    const struct vm_patch p = {
        .what = (in->name.data ? VM_PATCH_NAME : 0u) |
                (in->metadata.object ? VM_PATCH_METADATA : 0u) |
                (in->ttl.given.is_given ? VM_PATCH_TTL : 0u) |
                (in->idle.given.is_given ? VM_PATCH_IDLE : 0u),
        .name = in->name.data,
        .metadata = in->metadata.object,
        .ttl = timer_of(&in->ttl),
        .idle = timer_of(&in->idle),
    };
    char id[ID_SIZE];
    struct vm_info v = {0};
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = check_maps(in->metadata.object, NULL, e);
    if (r == 0)
        r = host_vm_patch(rq->host, rq->account, id, &p, &v, e);
    return r < 0 ? r : native_vm_answer(&v, ret);
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = host_vm_delete(rq->host, rq->account, id, e);
    return r < 0 ? r : native_deleted(id, true, ret);
}

/* ---- PUT, PATCH /v1/vms/{id}/firewall ---- */

/* The body is the policy, in either shape; the host knows what is right. */
struct firewall_input {
    json_t *axes[4];
};

static const struct field firewall_request[] = {
    {"ingress", FIELD_JSON, 0, offsetof(struct firewall_input, axes[0]), .doc = "Into the VM"},
    {"egress", FIELD_JSON, 0, offsetof(struct firewall_input, axes[1]), .doc = "Out of the VM"},
    {"dns", FIELD_JSON, 0, offsetof(struct firewall_input, axes[2]), .doc = "What names resolve"},
    {"mode", FIELD_JSON, 0, offsetof(struct firewall_input, axes[3]),
     .doc = "Of the older shape: open or restricted"},
    {0},
};

static int change_firewall(struct request *rq, unsigned what, struct answer *ret, struct err *e)
{
    const struct vm_patch p = {.what = what, .firewall = rq->input.json};
    char id[ID_SIZE];
    struct vm_info v = {0};
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = host_vm_patch(rq->host, rq->account, id, &p, &v, e);
    if (r < 0)
        native_strip_field(e, "firewall.");
    return r < 0 ? r : native_vm_answer(&v, ret);
}

static int put_firewall(struct request *rq, struct answer *ret, struct err *e)
{
    return change_firewall(rq, VM_PATCH_FIREWALL, ret, e);
}

static int patch_firewall(struct request *rq, struct answer *ret, struct err *e)
{
    return change_firewall(rq, VM_PATCH_FIREWALL_AXES, ret, e);
}

/* ---- rows ---- */

const struct route native_vm_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/vms", "listVms"),
        .handler = list,
        .query = list_query,
        .query_bytes = sizeof(struct list_query),
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "The account's VMs, newest last",
    },
    {
        NATIVE_ROW(POST, "/v1/vms", "launchVm"),
        .handler = launch,
        .request = launch_request,
        .input_bytes = sizeof(struct launch_input),
        .response = native_vm_fields,
        .success = 201,
        .others = launch_others,
        .flags = ROUTE_ACCOUNT | ROUTE_BODY_OPTIONAL,
        .doc = "Launch a VM",
    },
    {
        NATIVE_ROW(GET, "/v1/vms/{id}", "getVm"),
        .handler = get,
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "One VM",
    },
    {
        NATIVE_ROW(PATCH, "/v1/vms/{id}", "updateVm"),
        .handler = patch,
        .request = patch_request,
        .input_bytes = sizeof(struct patch_input),
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Change name, metadata, TTL or idle policy",
    },
    {
        NATIVE_ROW(DELETE, "/v1/vms/{id}", "deleteVm"),
        .handler = delete,
        .response = native_deleted_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "End a VM and remove everything of it",
    },
    {
        NATIVE_ROW(PUT, "/v1/vms/{id}/firewall", "setFirewall"),
        .handler = put_firewall,
        .request = firewall_request,
        .input_bytes = sizeof(struct firewall_input),
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Replace the network policy",
    },
    {
        NATIVE_ROW(PATCH, "/v1/vms/{id}/firewall", "patchFirewall"),
        .handler = patch_firewall,
        .request = firewall_request,
        .input_bytes = sizeof(struct firewall_input),
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Replace the axes of the network policy that are given",
    },
    {0},
};

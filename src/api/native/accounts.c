/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts, what they may use and do use, and what there is to launch. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/native/native.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"

static json_t *quota_json(const struct quota *q)
{
    return json_pack("{s:I, s:I, s:o, s:I}", "vcpu", (json_int_t)q->vcpus, "memoryMiB",
                     (json_int_t)q->memory_mib, "diskGiB", native_gib_json(q->disk_bytes),
                     "snapshotCount", (json_int_t)q->snapshots);
}

/* ---- GET /v1/org/quotas ---- */

static int get_quotas(struct request *rq, struct answer *ret, struct err *e)
{
    struct account_info a;
    int r = host_account_get(rq->host, rq->account, &a, e);
    if (r < 0)
        return r;
    ret->json = json_pack("{s:o, s:o, s:o}", "orgId", native_id_json(a.id), "limits",
                          quota_json(&a.limits), "usage", quota_json(&a.usage));
    return ret->json ? 0 : -ENOMEM;
}

/* ---- accounts ---- */

static int answer(const struct account_info *a, struct answer *ret)
{
    ret->json = json_pack("{s:o, s:o, s:b, s:o, s:o, s:o}", "id", native_id_json(a->id), "name",
                          text_json(a->name, strlen(a->name)), "admin", a->admin, "createdAt",
                          native_time_json(a->created_ns), "quotas", quota_json(&a->limits),
                          "usage", quota_json(&a->usage));
    return ret->json ? 0 : -ENOMEM;
}

struct quota_input {
    struct field_given given;
    int64_t vcpus, memory_mib, snapshots;
    double disk_gib;
};

struct account_input {
    struct field_text name;
    struct quota_input quotas;
};

/* What is not given stays, or is the configuration's. */
static const struct account_input account_defaults = {
    .quotas = {.vcpus = -1, .memory_mib = -1, .snapshots = -1, .disk_gib = -1}};

#define AT(member) offsetof(struct quota_input, member)

static const struct field quota_request[] = {
    {"vcpu", FIELD_INTEGER, 0, AT(vcpus), .min = 0, .max = QUOTA_MAX, .doc = "0: no bound"},
    {"memoryMiB", FIELD_INTEGER, 0, AT(memory_mib), .min = 0, .max = QUOTA_MAX,
     .doc = "0: no bound"},
    {"diskGiB", FIELD_NUMBER, 0, AT(disk_gib), .min = 0, .max = QUOTA_MAX, .doc = "0: no bound"},
    {"snapshotCount", FIELD_INTEGER, 0, AT(snapshots), .min = 0, .max = QUOTA_MAX,
     .doc = "0: no bound"},
    {0},
};

#define QUOTAS_ROW                                                                          \
    {                                                                                       \
        "quotas", FIELD_OBJECT, 0, offsetof(struct account_input, quotas),                  \
            .fields = quota_request, .doc = "What it may use; what is missing: the default" \
    }
#define NAME_ROW(flags)                                                         \
    {                                                                           \
        "name", FIELD_TEXT, flags, offsetof(struct account_input, name),        \
            .min = 1, .max_bytes = ACCOUNT_NAME_MAX_BYTES, .doc = "Whose it is" \
    }

static const struct field create_request[] = {NAME_ROW(FIELD_REQUIRED), QUOTAS_ROW, {0}};
static const struct field update_request[] = {NAME_ROW(0), QUOTAS_ROW, {0}};

static struct quota quota_of(const struct quota_input *in)
{
    return (struct quota){
        .vcpus = in->vcpus,
        .memory_mib = in->memory_mib,
        .disk_bytes = in->disk_gib < 0 ? -1 : native_gib_bytes(in->disk_gib),
        .snapshots = in->snapshots,
    };
}

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct account_input *in = rq->input.data;
    const struct quota limits = quota_of(&in->quotas);
    struct account_info a;
    int r = host_account_create(rq->host, in->name.data, &limits, &a, e);
    return r < 0 ? r : answer(&a, ret);
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    auto_free struct account_info *accounts = NULL;
    size_t n = 0;
    int r = host_account_list(rq->host, &accounts, &n, e);
    if (r < 0)
        return r;
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        struct answer one = {0};
        answer(&accounts[i], &one);
        json_array_append_new(all, one.json);
    }
    ret->json = all;
    return ret->json ? 0 : -ENOMEM;
}

static int account_id(const struct request *rq, char ret[ID_SIZE], struct err *e)
{
    return native_id(rq, 0, "account", ret, e);
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct account_info a;
    int r = account_id(rq, id, e);
    if (r == 0)
        r = host_account_get(rq->host, id, &a, e);
    return r < 0 ? r : answer(&a, ret);
}

static int update(struct request *rq, struct answer *ret, struct err *e)
{
    const struct account_input *in = rq->input.data;
    const struct quota limits = quota_of(&in->quotas);
    char id[ID_SIZE];
    struct account_info a;
    int r = account_id(rq, id, e);
    if (r == 0)
        r = host_account_update(rq->host, id, in->name.data, &limits, &a, e);
    return r < 0 ? r : answer(&a, ret);
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = account_id(rq, id, e);
    if (r == 0)
        r = host_account_delete(rq->host, id, e);
    return r < 0 ? r : native_deleted(id, true, ret);
}

/* ---- what may be launched ---- */

static int list_machine_types(struct request *rq, struct answer *ret, struct err *e)
{
    struct machine_type t;
    ret->json = json_array();
    for (size_t i = 0; host_machine_type(rq->host, i, &t); i++)
        json_array_append_new(ret->json, json_pack("{s:s, s:i, s:i}", "name", t.name, "cpu",
                                                   t.shape.vcpus, "memoryMiB", t.shape.memory_mib));
    return ret->json ? 0 : -ENOMEM;
}

/* ---- rows ---- */

static const struct field quota_fields[] = {
    {"vcpu", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Virtual CPUs of VMs that run or are paused"},
    {"memoryMiB", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Their memory"},
    {"diskGiB", FIELD_NUMBER, FIELD_REQUIRED, .doc = "Disks of all VMs"},
    {"snapshotCount", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Snapshots"},
    {0},
};

static const struct field quotas_fields[] = {
    {"orgId", FIELD_TEXT, FIELD_REQUIRED, .doc = "The account"},
    {"limits", FIELD_OBJECT, FIELD_REQUIRED, .fields = quota_fields,
     .doc = "What it may use; 0: no bound"},
    {"usage", FIELD_OBJECT, FIELD_REQUIRED, .fields = quota_fields, .doc = "What it uses"},
    {0},
};

static const struct field account_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "Whose it is"},
    {"admin", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it may manage accounts"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},
    {"quotas", FIELD_OBJECT, FIELD_REQUIRED, .fields = quota_fields,
     .doc = "What it may use; 0: no bound"},
    {"usage", FIELD_OBJECT, FIELD_REQUIRED, .fields = quota_fields, .doc = "What it uses"},
    {0},
};

static const struct field machine_type_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "cNmM: N virtual CPUs, M GiB"},
    {"cpu", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Virtual CPUs"},
    {"memoryMiB", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Memory"},
    {0},
};

const struct route native_account_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/org/quotas", "getQuotas"),
        .handler = get_quotas,
        .response = quotas_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "What the account may use, and what it uses",
    },
    {
        NATIVE_ROW(GET, "/v1/accounts", "listAccounts"),
        .handler = list,
        .response = account_fields,
        .flags = ROUTE_ADMIN | ROUTE_LIST,
        .doc = "All accounts; for the admin",
    },
    {
        NATIVE_ROW(POST, "/v1/accounts", "createAccount"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct account_input),
        .input_defaults = &account_defaults,
        .response = account_fields,
        .success = 201,
        .flags = ROUTE_ADMIN,
        .doc = "Make an account; for the admin",
    },
    {
        NATIVE_ROW(GET, "/v1/accounts/{id}", "getAccount"),
        .handler = get,
        .response = account_fields,
        .flags = ROUTE_ADMIN,
        .doc = "One account; for the admin",
    },
    {
        NATIVE_ROW(PATCH, "/v1/accounts/{id}", "updateAccount"),
        .handler = update,
        .request = update_request,
        .input_bytes = sizeof(struct account_input),
        .input_defaults = &account_defaults,
        .response = account_fields,
        .flags = ROUTE_ADMIN,
        .doc = "Change an account's name or quotas; for the admin",
    },
    {
        NATIVE_ROW(DELETE, "/v1/accounts/{id}", "deleteAccount"),
        .handler = delete,
        .response = native_deleted_fields,
        .flags = ROUTE_ADMIN,
        .doc = "Delete an account without VMs and snapshots; for the admin",
    },
    {
        NATIVE_ROW(GET, "/v1/machine-types", "listMachineTypes"),
        .handler = list_machine_types,
        .response = machine_type_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "Machine types; the first is the default",
    },
    {0},
};

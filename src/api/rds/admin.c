/* SPDX-License-Identifier: Apache-2.0 */

/* How the machine is doing. */

#include <errno.h>
#include <math.h>

#include "api/rds/rds.h"
#include "host/overview.h"

static const struct field count_fields[] = {
    {"activeVms", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "Running or paused"},
    {"vms", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "All there are"},
    {"snapshots", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "All there are"},
    {"templates", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX,
     .doc = "Images that were booted and captured, which VMs are cloned from"},
    {"images", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "That can be launched"},
    {0},
};

static const struct field cpu_fields[] = {
    {"usagePct", FIELD_NUMBER, FIELD_REQUIRED, .max = 100, .doc = "Of all, over the last seconds"},
    {"capacityCores", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "CPUs of the host"},
    {"usedCores", FIELD_NUMBER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "CPUs that were busy"},
    {0},
};

static const struct field memory_fields[] = {
    {"usedBytes", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "Of the host's"},
    {"capacityBytes", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "The host's"},
    {"promisedBytes", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "To VMs"},
    {0},
};

static const struct field storage_fields[] = {
    {"usedBytes", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX,
     .doc = "Of the file system that has Holm's data"},
    {"capacityBytes", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX, .doc = "Its size"},
    {"holmBytes", FIELD_INTEGER, FIELD_REQUIRED, .max = INT64_MAX,
     .doc = "What Holm has there; looked at once a minute"},
    {0},
};

static const struct field overview_fields[] = {
    {"counts", FIELD_OBJECT, FIELD_REQUIRED, .fields = count_fields, .doc = "How many there are"},
    {"cpu", FIELD_OBJECT, FIELD_REQUIRED, .fields = cpu_fields, .doc = "CPUs"},
    {"memory", FIELD_OBJECT, FIELD_REQUIRED, .fields = memory_fields, .doc = "Memory"},
    {"storage", FIELD_OBJECT, FIELD_REQUIRED, .fields = storage_fields, .doc = "Disk"},
    {"startedAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When the daemon was started"},
    {"version", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the daemon"},
    {0},
};

static double rounded(double n, double unit)
{
    return round(n / unit) * unit;
}

static json_t *overview_json(const struct host_overview *o)
{
    double share = o->cpus ? 100 * o->cpu_used / o->cpus : 0;
    return json_pack(
        "{s:{s:i, s:i, s:i, s:i, s:i}, s:{s:f, s:i, s:f}, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I},"
        " s:o, s:s}",
        "counts", "activeVms", o->vms_active, "vms", o->vms_total, "snapshots", o->snapshots,
        "templates", o->templates, "images", o->images, /* */
        "cpu", "usagePct", rounded(share, 0.1), "capacityCores", o->cpus, "usedCores",
        rounded(o->cpu_used, 0.01), /* */
        "memory", "usedBytes", (json_int_t)o->memory_used_bytes, "capacityBytes",
        (json_int_t)o->memory_capacity_bytes, "promisedBytes",
        (json_int_t)o->memory_promised_bytes, /* */
        "storage", "usedBytes", (json_int_t)o->storage_used_bytes, "capacityBytes",
        (json_int_t)o->storage_capacity_bytes, "holmBytes", (json_int_t)o->storage_holm_bytes,
        "startedAt", rds_time_json(o->started_ns), "version", HOLM_VERSION);
}

static int overview(struct request *rq, struct answer *ret, struct err *e)
{
    struct host_overview o;
    int r = host_overview(rq->host, NULL, &o, e);
    if (r < 0)
        return r;
    ret->json = overview_json(&o);
    return ret->json ? 0 : -ENOMEM;
}

const struct route rds_admin_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/admin/overview", "rdsGetOverview"),
        .handler = overview,
        .response = overview_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_ADMIN,
        .doc = "How the machine is doing",
    },
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */

/* VMs that live, and their snapshots. Enums are stored by their number: append to them only. */

#include "base/cleanup.h"
#include "host/instance.h"
#include "host/store_priv.h"

#define TEXT(name, member)                                          \
    {                                                               \
        name, STORE_TEXT, offsetof(struct instance_record, member), \
            sizeof(((struct instance_record *)0)->member)           \
    }
#define COLUMN(kind, name, member) STORE_COLUMN(kind, struct instance_record, member, name)

static const struct store_column instance_columns[] = {
    TEXT("id", info.id),
    TEXT("account", info.account),
    TEXT("name", info.name),
    COLUMN(STORE_INT, "state", info.state),
    COLUMN(STORE_INT, "origin", origin),
    TEXT("detail", info.detail),
    TEXT("image", info.image),
    TEXT("source", info.source),
    TEXT("snapshot", info.snapshot),
    TEXT("forked_from", info.forked_from),
    TEXT("machine_type", info.machine_type),
    TEXT("next_machine_type", info.next_machine_type),
    COLUMN(STORE_INT, "vcpus", info.shape.vcpus),
    COLUMN(STORE_INT, "memory_mib", info.shape.memory_mib),
    COLUMN(STORE_I64, "disk_bytes", info.disk_bytes),
    COLUMN(STORE_JSON, "metadata", info.metadata),
    COLUMN(STORE_JSON, "env", info.env),
    COLUMN(STORE_JSON, "firewall", info.firewall),
    COLUMN(STORE_I64, "ttl_seconds", info.ttl.seconds),
    COLUMN(STORE_INT, "ttl_action", info.ttl.action),
    COLUMN(STORE_I64, "idle_seconds", info.idle.seconds),
    COLUMN(STORE_INT, "idle_action", info.idle.action),
    COLUMN(STORE_I64, "created_ns", info.created_ns),
    COLUMN(STORE_I64, "paused_ns", info.paused_ns),
    COLUMN(STORE_I64, "expires_ns", info.expires_ns),
    COLUMN(STORE_I64, "ttl_remaining_ns", info.ttl_remaining_ns),
    COLUMN(STORE_BOOL, "grows", grows),
};

static const struct store_table instances = {
    .id = STORE_INSTANCES,
    .name = "instances",
    .order = "created_ns, id",
    .columns = instance_columns,
    .n_columns = ARRAY_SIZE(instance_columns),
    .row_bytes = sizeof(struct instance_record),
};

#define S_TEXT(member) STORE_TEXT_COLUMN(struct snapshot_info, member)
#define S_COLUMN(kind, name, member) STORE_COLUMN(kind, struct snapshot_info, member, name)

static const struct store_column snapshot_columns[] = {
    S_TEXT(id),
    S_TEXT(account),
    S_TEXT(vm),
    S_TEXT(name),
    S_COLUMN(STORE_INT, "state", state),
    S_TEXT(image),
    S_TEXT(machine_type),
    S_COLUMN(STORE_INT, "vcpus", shape.vcpus),
    S_COLUMN(STORE_INT, "memory_mib", shape.memory_mib),
    S_COLUMN(STORE_I64, "disk_bytes", disk_bytes),
    S_COLUMN(STORE_I64, "size_bytes", size_bytes),
    S_COLUMN(STORE_I64, "pause_us", pause_us),
    S_COLUMN(STORE_JSON, "metadata", metadata),
    S_COLUMN(STORE_JSON, "env", env),
    S_COLUMN(STORE_JSON, "firewall", firewall),
    S_COLUMN(STORE_I64, "created_ns", created_ns),
};

static const struct store_table snapshots = {
    .id = STORE_SNAPSHOTS,
    .name = "snapshots",
    .order = "created_ns, id",
    .columns = snapshot_columns,
    .n_columns = ARRAY_SIZE(snapshot_columns),
    .row_bytes = sizeof(struct snapshot_info),
    .durable = true,
};

int store_instances_put(struct store *s, const struct instance_record *const *records, size_t n,
                        struct err *e)
{
    return store_rows_put(s, &instances, (const void *const *)records, n, e);
}

int store_instance_delete(struct store *s, const char *id, struct err *e)
{
    return store_row_delete(s, &instances, id, e);
}

int store_instances_each(struct store *s, int (*each)(void *arg, const void *record), void *arg,
                         struct err *e)
{
    return store_rows_each(s, &instances, each, arg, e);
}

int store_snapshot_put(struct store *s, const struct snapshot_info *info, struct err *e)
{
    const void *row = info;
    return store_rows_put(s, &snapshots, &row, 1, e);
}

int store_snapshot_delete(struct store *s, const char *id, struct err *e)
{
    return store_row_delete(s, &snapshots, id, e);
}

int store_snapshots_each(struct store *s, int (*each)(void *arg, const void *info), void *arg,
                         struct err *e)
{
    return store_rows_each(s, &snapshots, each, arg, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vm_view.h"

#include <string.h>

#include "base/clock.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/table.h"
#include "cli/units.h"

#define ID_SHOWN 8 /* characters; any command takes the beginning of an id */

enum term_style vm_view_style(const char *status)
{
    static const struct {
        const char *status;
        enum term_style style;
    } rows[] = {
        {"running", STYLE_GOOD}, {"ready", STYLE_GOOD},    {"error", STYLE_BAD},
        {"paused", STYLE_DIM},   {"suspended", STYLE_DIM}, {"stopped", STYLE_DIM},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!strcmp(status, rows[i].status))
            return rows[i].style;
    }
    return STYLE_WARN; /* on its way from one to the other */
}

void vm_view_id(const struct term *t, const char *id, char ret[REF_ID_SIZE])
{
    snprintf(ret, REF_ID_SIZE, "%.*s", t->tty ? ID_SHOWN : REF_ID_SIZE - 1, id);
}

void vm_view_age(const char *time, char *ret, size_t size)
{
    char text[UNITS_SIZE];
    int64_t ms = units_parse_time_ms(time);
    ret[0] = '\0';
    if (ms < 0)
        return;
    units_duration((clock_real_ns() / 1000000 - ms) / 1000, text);
    snprintf(ret, size, "%s", text);
}

/* "c1m2", or what it amounts to where the daemon does not name it. */
static void machine_of(const json_t *vm, char *ret, size_t size)
{
    const char *type = json_text(vm, "machineType");
    char memory[UNITS_SIZE];
    if (*type || !json_object_get(vm, "cpu")) {
        snprintf(ret, size, "%s", type);
        return;
    }
    units_bytes(json_number_value(json_object_get(vm, "memoryMiB")) * (1 << 20), memory);
    snprintf(ret, size, "%lld CPU, %s", (long long)json_integer_value(json_object_get(vm, "cpu")),
             memory);
}

/* How much of its TTL is left: "pause in 5m", "pause, 5m left" while that does not count. ""
 * without one. */
static void ttl_of(const json_t *vm, char *ret, size_t size)
{
    const json_t *ttl = json_object_get(vm, "ttl");
    const json_t *expires = json_object_get(vm, "expiresAtMs");
    const json_t *left = json_object_get(vm, "ttlRemainingMs");
    const char *action = json_text(ttl, "action");
    char text[UNITS_SIZE];
    ret[0] = '\0';
    if (!json_is_object(ttl))
        return;
    if (json_is_number(expires)) {
        int64_t ms = (int64_t)json_number_value(expires) - clock_real_ns() / 1000000;
        units_duration(ms / 1000, text);
        snprintf(ret, size, "%s in %s", action, text);
    } else if (json_is_number(left)) {
        units_duration((int64_t)json_number_value(left) / 1000, text);
        snprintf(ret, size, "%s, %s left", action, text);
    } else {
        units_duration(json_integer_value(json_object_get(ttl, "seconds")), text);
        snprintf(ret, size, "%s after %s", action, text);
    }
}

static void gib(const json_t *object, const char *key, char *ret, size_t size)
{
    char text[UNITS_SIZE];
    const json_t *n = json_object_get(object, key);
    units_bytes(json_number_value(n) * (1 << 30), text);
    snprintf(ret, size, "%s", json_is_number(n) ? text : "");
}

static void add_row(struct table *t, const struct term *term, const json_t *vm)
{
    char id[REF_ID_SIZE], type[64], disk[UNITS_SIZE], age[UNITS_SIZE], ttl[64];
    const char *status = json_text(vm, "status");
    vm_view_id(term, json_text(vm, "id"), id);
    machine_of(vm, type, sizeof(type));
    gib(vm, "diskGiB", disk, sizeof(disk));
    vm_view_age(json_text(vm, "createdAt"), age, sizeof(age));
    ttl_of(vm, ttl, sizeof(ttl));
    table_add(t, (struct table_cell[]){
                     {.text = json_text(vm, "name"), .style = STYLE_BOLD},
                     {.text = id},
                     {.text = status, .style = vm_view_style(status)},
                     {.text = type},
                     {.text = disk},
                     {.text = age},
                     {.text = json_text(vm, "sourceName")},
                     {.text = ttl},
                     {.text = json_text(vm, "detail"), .style = STYLE_BAD},
                 });
}

int vm_view_list(struct cli_call *call, const char *path, struct err *e)
{
    static const char *const heads[] = {"NAME", "ID",     "STATUS", "TYPE",  "DISK",
                                        "AGE",  "SOURCE", "TTL",    "DETAIL"};
    const struct objects_list vms = {.path = path,
                                     .heads = heads,
                                     .n_columns = ARRAY_SIZE(heads),
                                     .right = 3 << 4,
                                     .none = "there are none; 'holm vm create' makes one",
                                     .add_row = add_row};
    return objects_list(call, &vms, e);
}

static void row(struct table *t, const char *name, const char *value)
{
    if (*value)
        fields_row(t, name, value, STYLE_PLAIN);
}

static void machine_row(struct table *t, const json_t *vm)
{
    char memory[UNITS_SIZE], disk[UNITS_SIZE], text[256];
    const char *next = json_text(vm, "nextMachineType"), *type = json_text(vm, "machineType");
    units_bytes(json_number_value(json_object_get(vm, "memoryMiB")) * (1 << 20), memory);
    gib(vm, "diskGiB", disk, sizeof(disk));
    snprintf(text, sizeof(text), "%s%s%lld CPU, %s memory, %s disk%s%s%s", type, *type ? ": " : "",
             (long long)json_integer_value(json_object_get(vm, "cpu")), memory, disk,
             *next ? "; " : "", next, *next ? " from its next start on" : "");
    row(t, "machine", text);
}

static void time_row(struct table *t, const char *name, const char *time)
{
    char age[UNITS_SIZE], text[128];
    vm_view_age(time, age, sizeof(age));
    snprintf(text, sizeof(text), "%s%s%s%s", time, *age ? " (" : "", age, *age ? " ago)" : "");
    row(t, name, text);
}

static void idle_row(struct table *t, const json_t *vm)
{
    const json_t *idle = json_object_get(vm, "idle"), *for_ms = json_object_get(vm, "idleForMs");
    char after[UNITS_SIZE], now[UNITS_SIZE], text[128];
    if (!json_is_object(idle))
        return;
    units_duration(json_integer_value(json_object_get(idle, "seconds")), after);
    units_duration((int64_t)json_number_value(for_ms) / 1000, now);
    snprintf(text, sizeof(text), "%s after %s%s%s", json_text(idle, "action"), after,
             json_is_number(for_ms) ? "; idle for " : "", json_is_number(for_ms) ? now : "");
    row(t, "idle", text);
}

/* "NAME=VALUE", a line each; the name of the rows stands at the first. */
static void pairs(struct table *t, const char *name, const json_t *object)
{
    const char *key;
    json_t *v;
    bool first = true;
    json_object_foreach((json_t *)object, key, v)
    {
        auto_buf struct buf text = {0};
        buf_printf(&text, "%s=%s", key, json_is_string(v) ? json_string_value(v) : "");
        fields_row(t, first ? name : "", buf_str(&text), STYLE_PLAIN);
        first = false;
    }
}

static void network_rows(struct table *t, const json_t *vm)
{
    static const char *const axes[] = {"egress", "ingress"};
    const json_t *policy = json_object_get(vm, "effectiveFirewall");
    if (!json_is_object(policy))
        policy = json_object_get(vm, "firewall");
    for (size_t i = 0; i < ARRAY_SIZE(axes); i++) {
        const json_t *axis = json_object_get(policy, axes[i]);
        size_t n = json_array_size(json_object_get(axis, "rules"));
        char text[80];
        if (!json_is_object(axis))
            continue;
        snprintf(text, sizeof(text), n ? "%s, but for %zu rule%s" : "%s",
                 json_text(axis, "default"), n, n == 1 ? "" : "s");
        row(t, axes[i], text);
    }
}

void vm_view_one(struct cli *cli, const json_t *vm)
{
    auto_table struct table t = {.n_columns = 2};
    const char *status = json_text(vm, "status");
    char ttl[64];
    ttl_of(vm, ttl, sizeof(ttl));
    row(&t, "name", json_text(vm, "name"));
    row(&t, "id", json_text(vm, "id"));
    fields_row(&t, "status", status, vm_view_style(status));
    row(&t, "detail", json_text(vm, "detail"));
    machine_row(&t, vm);
    row(&t, "image", json_text(vm, "image"));
    row(&t, "source", json_text(vm, "sourceName"));
    row(&t, "snapshot", json_text(vm, "snapshotId"));
    row(&t, "forked from", json_text(vm, "forkedFrom"));
    time_row(&t, "created", json_text(vm, "createdAt"));
    time_row(&t, "paused", json_text(vm, "pausedAt"));
    row(&t, "ttl", ttl);
    idle_row(&t, vm);
    network_rows(&t, vm);
    pairs(&t, "metadata", json_object_get(vm, "metadata"));
    pairs(&t, "env", json_object_get(vm, "envVars"));
    row(&t, "account", json_text(vm, "orgId"));
    table_print(&t, &cli->out);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The VM object. */

#include <errno.h>
#include <string.h>

#include "api/native/native.h"
#include "api/native/timer.h"
#include "api/text.h"
#include "base/clock.h"

static const char *const status_words[VM_STATE_COUNT] = {
    [VM_BUILDING] = "provisioning",
    [VM_STARTING] = "provisioning",
    [VM_RUNNING] = "running",
    [VM_PAUSING] = "pausing",
    [VM_PAUSED] = "paused",
    [VM_SUSPENDING] = "suspending",
    [VM_SUSPENDED] = "suspended",
    [VM_RESUMING] = "resuming",
    [VM_STOPPING] = "stopping",
    [VM_STOPPED] = "stopped",
    [VM_DELETING] = "deleting",
    [VM_DELETED] = "deleting",
    [VM_LOST] = "error",
};

const char *native_status(enum vm_state state)
{
    return status_words[state];
}

static json_t *timer_json(const struct vm_timer *t)
{
    if (!t->seconds)
        return json_null();
    return json_pack("{s:I, s:s}", "seconds", (json_int_t)t->seconds, "action",
                     timer_actions[t->action - 1]);
}

static json_int_t ms(int64_t ns)
{
    return (json_int_t)(ns / 1000000);
}

static void add_times(json_t *o, const struct vm_info *v)
{
    json_object_set_new(o, "createdAt", native_time_json(v->created_ns));
    json_object_set_new(o, "pausedAt", native_time_json(v->state == VM_PAUSED ? v->paused_ns : 0));
    json_object_set_new(o, "deletedAt", json_null());
    json_object_set_new(o, "ttl", timer_json(&v->ttl));
    if (v->ttl.seconds && v->expires_ns)
        json_object_set_new(o, "expiresAtMs", json_integer(ms(v->expires_ns)));
    else if (v->ttl.seconds)
        json_object_set_new(o, "ttlRemainingMs", json_integer(ms(v->ttl_remaining_ns)));
    if (!v->idle.seconds)
        return;
    json_object_set_new(o, "idle", timer_json(&v->idle));
    if (v->state != VM_RUNNING || !v->active_ns)
        return;
    int64_t idle_ns = clock_real_ns() - v->active_ns;
    json_object_set_new(o, "idleForMs", json_integer(idle_ns > 0 ? ms(idle_ns) : 0));
}

static void add_origin(json_t *o, const struct vm_info *v)
{
    json_object_set_new(o, "sourceName", text_json(v->source, strlen(v->source)));
    json_object_set_new(o, "image", native_image_json(v->image));
    if (v->snapshot[0])
        json_object_set_new(o, "snapshotId", native_id_json(v->snapshot));
    if (v->forked_from[0])
        json_object_set_new(o, "forkedFrom", native_id_json(v->forked_from));
}

static void add_machine(json_t *o, const struct vm_info *v)
{
    json_object_set_new(o, "cpu", json_integer(v->shape.vcpus));
    json_object_set_new(o, "memoryMiB", json_integer(v->shape.memory_mib));
    json_object_set_new(o, "diskGiB", native_gib_json(v->disk_bytes));
    json_object_set_new(o, "machineName", json_string(v->machine_type));
    json_object_set_new(o, "machineType", json_string(v->machine_type));
    if (v->next_machine_type[0])
        json_object_set_new(o, "nextMachineType", json_string(v->next_machine_type));
}

json_t *native_vm_json(const struct vm_info *v)
{
    json_t *o = json_pack("{s:o, s:o, s:o, s:s}", "id", native_id_json(v->id), "name",
                          text_json(v->name, strlen(v->name)), "orgId", native_id_json(v->account),
                          "status", status_words[v->state]);
    if (v->state == VM_LOST && v->detail[0])
        json_object_set_new(o, "detail", text_json(v->detail, strlen(v->detail)));
    add_machine(o, v);
    add_times(o, v);
    add_origin(o, v);
    json_object_set(o, "metadata", v->metadata);
    json_object_set(o, "envVars", v->env);
    json_object_set(o, "firewall", v->firewall);
    json_object_set(o, "effectiveFirewall", v->firewall);
    return o;
}

int native_vm_answer(struct vm_info *v, struct answer *ret)
{
    ret->json = native_vm_json(v);
    vm_info_done(v);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- its description ---- */

static const char *const states[] = {"provisioning", "running",    "pausing",   "paused",
                                     "resuming",     "suspending", "suspended", "stopping",
                                     "stopped",      "deleting",   "error",     NULL};

static const struct field timer_fields[] = {
    {"seconds", FIELD_INTEGER, FIELD_REQUIRED, .doc = "After so long"},
    {"action", FIELD_CHOICE, FIELD_REQUIRED, .choices = timer_actions, .doc = "this happens"},
    {0},
};

const struct field native_vm_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},
    {"orgId", FIELD_TEXT, FIELD_REQUIRED, .doc = "The account it belongs to"},
    {"status", FIELD_CHOICE, FIELD_REQUIRED, .choices = states, .doc = "What it is doing"},
    {"detail", FIELD_TEXT, 0, .doc = "Why its status is error"},
    {"cpu", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Virtual CPUs"},
    {"memoryMiB", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Memory"},
    {"diskGiB", FIELD_NUMBER, FIELD_REQUIRED, .doc = "Size of its disk"},
    {"machineName", FIELD_TEXT, FIELD_REQUIRED, .doc = "As machineType"},
    {"machineType", FIELD_TEXT, FIELD_REQUIRED, .doc = "Its row of GET /v1/machine-types"},
    {"nextMachineType", FIELD_TEXT, 0, .doc = "What it becomes at its next start"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was launched"},
    {"pausedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "Since when it is paused"},
    {"deletedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "Always null"},
    {"ttl", FIELD_OBJECT, FIELD_REQUIRED | FIELD_NULLABLE, .fields = timer_fields,
     .doc = "What happens after it has run for so long"},
    {"expiresAtMs", FIELD_INTEGER, 0, .doc = "When the TTL ends; while it runs"},
    {"ttlRemainingMs", FIELD_INTEGER, 0, .doc = "What is left of the TTL; while it does not run"},
    {"idle", FIELD_OBJECT, 0, .fields = timer_fields,
     .doc = "What happens after so long without activity"},
    {"idleForMs", FIELD_INTEGER, 0, .doc = "How long it has been without activity"},
    {"sourceName", FIELD_TEXT, FIELD_REQUIRED, .doc = "The snapshot or image it was made from"},
    {"image", FIELD_TEXT, FIELD_REQUIRED, .doc = "The image that its disk began with"},
    {"snapshotId", FIELD_TEXT, 0, .doc = "The snapshot it was launched from"},
    {"forkedFrom", FIELD_TEXT, 0, .doc = "The VM it is a copy of"},
    {"metadata", FIELD_MAP, FIELD_REQUIRED, .doc = "The owner's own strings"},
    {"envVars", FIELD_MAP, FIELD_REQUIRED, .doc = "Environment of every command"},
    {"firewall", FIELD_JSON, FIELD_REQUIRED, .fields = native_firewall_fields,
     .doc = "Its network policy"},
    {"effectiveFirewall", FIELD_JSON, FIELD_REQUIRED, .fields = native_firewall_fields,
     .doc = "The policy that is enforced"},
    {0},
};

/* ---- policies, as answers have them ---- */

static const char *const verdicts[] = {"allow", "deny", NULL};
static const char *const kinds[] = {"cidr", "fqdn", NULL};
static const char *const protocols[] = {"tcp", "udp", "any", NULL};

static const struct field rule_fields[] = {
    {"action", FIELD_CHOICE, FIELD_REQUIRED, .choices = verdicts, .doc = "What a match means"},
    {"kind", FIELD_CHOICE, FIELD_REQUIRED, .choices = kinds,
     .doc = "What value is; ingress knows cidr only"},
    {"value", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"10.0.0.0/8\", or \"*.example.com\""},
    {"protocol", FIELD_CHOICE, FIELD_REQUIRED, .choices = protocols, .doc = "any: all ports too"},
    {"ports", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"443\", \"8080-8090\" or \"any\""},
    {"description", FIELD_TEXT, 0, .doc = "For people"},
    {0},
};

static const struct field axis_fields[] = {
    {"default", FIELD_CHOICE, FIELD_REQUIRED, .choices = verdicts, .doc = "When no rule matches"},
    {"rules", FIELD_OBJECTS, FIELD_REQUIRED, .fields = rule_fields,
     .doc = "The first match decides"},
    {0},
};

static const struct field dns_fields[] = {
    {"mode", FIELD_CHOICE, FIELD_REQUIRED, .choices = verdicts,
     .doc = "allow: only these domains resolve; deny: all but these"},
    {"domains", FIELD_TEXTS, FIELD_REQUIRED, .doc = "Names, or \"*.NAME\""},
    {"blockBypass", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether DNS over TLS or HTTPS is denied"},
    {0},
};

const struct field native_firewall_fields[] = {
    {"ingress", FIELD_OBJECT, FIELD_REQUIRED, .fields = axis_fields, .doc = "Into the VM"},
    {"egress", FIELD_OBJECT, FIELD_REQUIRED, .fields = axis_fields, .doc = "Out of the VM"},
    {"dns", FIELD_OBJECT, FIELD_REQUIRED, .fields = dns_fields, .doc = "What names resolve"},
    {0},
};

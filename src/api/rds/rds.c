/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/rds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/text.h"
#include "api/uuid.h"
#include "base/clock.h"
#include "base/limits.h"

/* ---- errors ---- */

json_t *rds_error(const struct err *e)
{
    const char *text = e->text;
    if (e->class == ERR_UNAUTHORIZED && strcmp(text, "Invalid credentials") != 0)
        text = "Unauthorized";
    json_t *o = json_pack("{s:o}", "message", text_json(text, strlen(text)));
    if (e->field[0])
        json_object_set_new(o, "field", text_json(e->field, strlen(e->field)));
    return o;
}

static const struct field error_fields[] = {
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "A sentence for people"},
    {"field", FIELD_TEXT, 0, .doc = "The field of the request that is at fault"},
    {0},
};

const int rds_errors[] = {400, 401, 403, 404, 409, 413, 415, 429, 500, 502, 503, 504, 0};

const struct dialect rds_dialect = {
    .name = "rds",
    .title = "run-dat-sheesh",
    .doc =
        "VMs for programs and agents: the run-dat-sheesh API, and Holm's additions to it. A path "
        "that has no such method answers 405.",
    .prefix = "/rds/",
    .error = rds_error,
    .error_fields = error_fields,
    .is_open = true,
    .has_openapi_30 = true,
    .body_too_large = "Body too large",
    .rate_per_min = RDS_RATE_MAX_PER_MIN,
};

/* ---- ids ---- */

static const struct {
    const char *noun; /* as a sentence begins with it */
    const char *word;
    const char *prefix;
} kinds[RDS_KIND_COUNT] = {
    [RDS_VM] = {"VM", "VM", RDS_VM_PREFIX},
    [RDS_SNAPSHOT] = {"Snapshot", "snapshot", RDS_SNAPSHOT_PREFIX},
    [RDS_IMAGE] = {"Image", "image", RDS_IMAGE_PREFIX},
    [RDS_WEBHOOK] = {"Webhook", "webhook", ""},
    [RDS_KEY] = {"API key", "API key", ""},
};

static bool is_uuid(const char *s)
{
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? s[i] != '-' : !s[i] || !strchr("0123456789abcdefABCDEF", s[i]))
            return false;
    }
    return !s[UUID_LEN];
}

static int not_found(enum rds_kind kind, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%s not found", kinds[kind].noun);
}

int rds_parse_id(const char *text, enum rds_kind kind, char ret[ID_SIZE], struct err *e)
{
    size_t n = strlen(kinds[kind].prefix);
    if (text && strncmp(text, kinds[kind].prefix, n) == 0)
        text += n;
    if (!text || !is_uuid(text))
        return err_set(e, ERR_INVALID, "Invalid %s id", kinds[kind].word);
    return uuid_to_id(text, ret) ? 0 : not_found(kind, e);
}

int rds_id(const struct request *rq, size_t param, enum rds_kind kind, char ret[ID_SIZE],
           struct err *e)
{
    return rds_parse_id(rq->params[param], kind, ret, e);
}

json_t *rds_id_json(const char *prefix, const char *id)
{
    char uuid[UUID_SIZE], text[UUID_SIZE + 8];
    uuid_from_id(id, uuid);
    snprintf(text, sizeof(text), "%s%s", prefix, uuid);
    return *uuid ? json_string(text) : json_null();
}

int rds_failed(int r, enum rds_kind kind, struct err *e)
{
    return r < 0 && e && e->class == ERR_NOT_FOUND ? not_found(kind, e) : r;
}

/* ---- values ---- */

json_t *rds_time_json(int64_t real_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!real_ns)
        return json_null();
    clock_rfc3339(real_ns, text);
    return json_string(text);
}

const char *rds_state(enum vm_state state)
{
    static const char *const words[VM_STATE_COUNT] = {
        [VM_BUILDING] = "STARTING", [VM_STARTING] = "STARTING", [VM_RUNNING] = "RUNNING",
        [VM_PAUSING] = "PAUSED",    [VM_PAUSED] = "PAUSED",     [VM_SUSPENDING] = "PAUSED",
        [VM_SUSPENDED] = "PAUSED",  [VM_RESUMING] = "STARTING", [VM_STOPPING] = "STOPPING",
        [VM_STOPPED] = "STOPPED",   [VM_DELETING] = "DELETED",  [VM_DELETED] = "DELETED",
        [VM_LOST] = "ERROR",
    };
    return words[state];
}

int rds_not_running(struct request *rq, const char *vm, const char *what, int r, struct err *e)
{
    if (r == 0 || !e || (e->class != ERR_CONFLICT && e->class != ERR_NOT_FOUND))
        return r;
    struct vm_info v = {0};
    struct err gone = ERR_INIT;
    int looked = host_vm_get(rq->host, rq->account, vm, &v, &gone);
    if (looked < 0 && gone.class == ERR_NOT_FOUND)
        r = not_found(RDS_VM, e);
    else if (looked == 0 && e->class == ERR_CONFLICT && v.state != VM_RUNNING)
        r = err_set(e, ERR_CONFLICT, "VM must be RUNNING to %s (state=%s)", what,
                    rds_state(v.state));
    vm_info_done(&v);
    return r;
}

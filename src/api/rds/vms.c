/* SPDX-License-Identifier: Apache-2.0 */

/* VMs: create, look, start, stop, end. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/rds/policy.h"
#include "api/rds/rds.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/config.h"
#include "host/host.h"
#include "host/images.h"
#include "host/net_addr.h"

/* ---- the VM object ---- */

json_t *rds_image_id_json(struct request *rq, const char *key)
{
    struct image_info image;
    if (host_image_get(rq->host, rq->account, key, &image, NULL) < 0)
        return json_null();
    return rds_id_json(RDS_IMAGE_PREFIX, image.id);
}

static json_t *vm_json(struct request *rq, const struct vm_info *v)
{
    json_t *o =
        json_pack("{s:o, s:o, s:s, s:i, s:I, s:s, s:b, s:o}", "id",
                  rds_id_json(RDS_VM_PREFIX, v->id), "name", text_json(v->name, strlen(v->name)),
                  "state", rds_state(v->state), "cpu", (int)v->shape.vcpus, "memMb",
                  (json_int_t)v->shape.memory_mib, "guestIp", NET_GUEST4, "outboundInternet",
                  rds_policy_internet(v->firewall), "allowIps", rds_policy_ranges(v->firewall));
    json_object_set_new(o, "createdAt", rds_time_json(v->created_ns));
    json_object_set_new(o, "provisionMode", json_string(v->snapshot[0] ? "snapshot" : "boot"));
    json_object_set_new(o, "imageId", rds_image_id_json(rq, v->image));
    if (v->snapshot[0])
        json_object_set_new(o, "snapshotId", rds_id_json(RDS_SNAPSHOT_PREFIX, v->snapshot));
    json_object_set_new(o, "diskSizeMb", json_integer((json_int_t)(v->disk_bytes / (int64_t)MIB)));
    return o;
}

static const char *const states[] = {"CREATED", "STARTING", "RUNNING", "PAUSED", "STOPPING",
                                     "STOPPED", "DELETED",  "ERROR",   NULL};
static const char *const modes[] = {"boot", "snapshot", NULL};

static const struct field vm_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "vm-UUID"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},
    {"state", FIELD_CHOICE, FIELD_REQUIRED, .choices = states, .doc = "What it is doing"},
    {"cpu", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Virtual CPUs"},
    {"memMb", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Memory in MiB"},
    {"guestIp", FIELD_TEXT, FIELD_REQUIRED, .doc = "Its address, as it sees itself"},
    {"outboundInternet", FIELD_BOOL, FIELD_REQUIRED,
     .doc = "Whether anything beyond the gateway may be reached"},
    {"allowIps", FIELD_TEXTS, FIELD_REQUIRED, .doc = "What may be reached"},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was created"},
    {"provisionMode", FIELD_CHOICE, FIELD_REQUIRED, .choices = modes, .doc = "What it came from"},
    {"imageId", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "The image that its disk began with"},
    {"snapshotId", FIELD_TEXT, 0, .doc = "The snapshot it was made from"},
    {"diskSizeMb", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Size of its disk in MiB"},
    {0},
};

/* ---- POST /v1/vms ---- */

struct create_input {
    double cpu, memory_mib, disk_mib; /* disk 0: not given */
    struct field_texts allow;
    bool internet;
    struct field_text image, snapshot, name;
};

#define AT(member) offsetof(struct create_input, member)
#define ANY_NUMBER .min = INT32_MIN, .max = INT32_MAX

/* The bounds of cpu and memMb are the configuration's, and have words of their own. */
static const struct field create_request[] = {
    {"cpu", FIELD_NUMBER, FIELD_REQUIRED, AT(cpu), ANY_NUMBER,
     .doc = "Virtual CPUs: a whole number from 1 to rds.cpu_max (8)"},
    {"memMb", FIELD_NUMBER, FIELD_REQUIRED, AT(memory_mib), ANY_NUMBER,
     .doc = "Memory in MiB: a whole number from 128 to rds.memory_max_mib (8192)"},
    {"allowIps", FIELD_TEXTS, FIELD_REQUIRED, AT(allow),
     .doc = "Addresses and ranges that it may reach, IPv4 or IPv6; at most rds.allow_ips_max (64)"},
    {"outboundInternet", FIELD_BOOL, 0, AT(internet),
     .doc = "Without it nothing of allowIps is reachable"},
    {"imageId", FIELD_TEXT, 0, AT(image), .max_bytes = IMAGE_KEY_SIZE - 1,
     .doc = "An image's id, or a built-in one's name; the default image when missing"},
    {"snapshotId", FIELD_TEXT, 0, AT(snapshot), .max_bytes = 64,
     .doc = "Goes on from a snapshot, of which cpu and memMb must be"},
    {"diskSizeMb", FIELD_NUMBER, 0, AT(disk_mib), ANY_NUMBER,
     .doc = "Size of its disk in MiB; the image's when missing, or less than that"},
    {"name", FIELD_TEXT, 0, AT(name), .max_bytes = VM_NAME_MAX_BYTES,
     .doc = "For people; made up when missing"},
    {0},
};

/* What a create needs that the request does not hold itself. */
struct creation {
    struct vm_launch launch;
    char image[IMAGE_KEY_SIZE], snapshot[ID_SIZE];
    json_t *firewall;
};

static void creation_done(struct creation *c)
{
    json_decref(c->firewall);
}

static bool is_whole(double n, int min, int max)
{
    return n >= min && n <= max && n == (double)(int)n;
}

static int check_numbers(const struct create_input *in, const struct config *c, struct err *e)
{
    if (!is_whole(in->cpu, 1, c->rds_cpu_max))
        return err_field(e, "cpu", "Invalid cpu (maxCpu=%d)", c->rds_cpu_max);
    if (!is_whole(in->memory_mib, RDS_MEMORY_MIN_MIB, c->rds_memory_max_mib))
        return err_field(e, "memMb", "Invalid memMb (maxMemMb=%d)", c->rds_memory_max_mib);
    if (in->disk_mib != 0 && !is_whole(in->disk_mib, 1, INT32_MAX))
        return err_field(e, "diskSizeMb", "Invalid diskSizeMb");
    if (in->disk_mib > (double)(VM_DISK_MAX_BYTES / MIB))
        return err_field(e, "diskSizeMb", "diskSizeMb too large (max=%llu)",
                         VM_DISK_MAX_BYTES / MIB);
    if (in->allow.n > (size_t)c->rds_allow_ips_max)
        return err_field(e, "allowIps", "Too many allowIps (maxAllowIps=%d)", c->rds_allow_ips_max);
    return 0;
}

/* The account's default image; "" when there is none. */
static int find_default(struct request *rq, struct image_info *ret, struct err *e)
{
    auto_free struct image_info *list = NULL;
    size_t n = 0;
    int r = host_image_list(rq->host, rq->account, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (list[i].is_default)
            *ret = list[i];
    }
    return r;
}

/* By id, or by the name of a built-in one. */
static int find_image(struct request *rq, const struct field_text *ref, struct image_info *ret,
                      struct err *e)
{
    char id[ID_SIZE];
    bool is_id = rds_parse_id(ref->data, RDS_IMAGE, id, NULL) == 0;
    return rds_failed(host_image_get(rq->host, rq->account, is_id ? id : ref->data, ret, e),
                      RDS_IMAGE, e);
}

/* What is asked for, beside what the image or snapshot has. The file systems of built-in images are
 * larger than what is in them, and sparse: what asks for less than that, as clients of smaller
 * images do, gets it. A disk that was made larger is not given smaller. */
static int size_disk(const struct create_input *in, const struct image_info *image,
                     int64_t has_bytes, struct vm_launch *l, struct err *e)
{
    int64_t wanted_mib = (int64_t)in->disk_mib;
    int64_t has_mib = (has_bytes + (int64_t)MIB - 1) / (int64_t)MIB;
    int64_t min_mib = image->builtin && has_bytes <= image->disk_bytes ? RDS_DISK_MIN_MIB : has_mib;
    if (wanted_mib < min_mib)
        return err_field(e, "diskSizeMb", "diskSizeMb too small (min=%lld)", (long long)min_mib);
    l->disk_bytes = wanted_mib > has_mib ? wanted_mib * (int64_t)MIB : 0;
    return 0;
}

static int from_image(struct request *rq, const struct create_input *in, struct creation *c,
                      struct err *e)
{
    struct image_info image = {0};
    int r = in->image.len ? find_image(rq, &in->image, &image, e) : 0;
    if (r == 0 && in->disk_mib != 0 && !in->image.len)
        r = find_default(rq, &image, e);
    if (r == 0 && in->disk_mib != 0)
        r = size_disk(in, &image, image.disk_bytes, &c->launch, e);
    if (r < 0)
        return r;
    if (in->image.len) {
        memcpy(c->image, image.key, sizeof(c->image));
        c->launch.image = c->image;
    }
    c->launch.shape =
        (struct machine_shape){.vcpus = (int)in->cpu, .memory_mib = (int)in->memory_mib};
    return 0;
}

static int check_snapshot(struct request *rq, const struct create_input *in,
                          const struct snapshot_info *s, struct vm_launch *l, struct err *e)
{
    struct image_info image = {0};
    if ((int)in->cpu != (int)s->shape.vcpus || (int)in->memory_mib != (int)s->shape.memory_mib)
        return err_field(e, "cpu", "Snapshot cpu/mem mismatch: snapshot=%d/%d requested=%d/%d",
                         (int)s->shape.vcpus, (int)s->shape.memory_mib, (int)in->cpu,
                         (int)in->memory_mib);
    int r = in->image.len ? find_image(rq, &in->image, &image, e) : 0;
    if (r < 0)
        return r;
    if (in->image.len && strcmp(image.key, s->image) != 0)
        return err_field(e, "imageId", "Snapshot image mismatch: the snapshot is of another image");
    if (!in->image.len)
        (void)host_image_get(rq->host, rq->account, s->image, &image, NULL);
    return in->disk_mib != 0 ? size_disk(in, &image, s->disk_bytes, l, e) : 0;
}

static int from_snapshot(struct request *rq, const struct create_input *in, struct creation *c,
                         struct err *e)
{
    struct snapshot_info s = {0};
    int r = rds_parse_id(in->snapshot.data, RDS_SNAPSHOT, c->snapshot, e);
    if (r == 0)
        r = rds_failed(host_snapshot_get(rq->host, rq->account, c->snapshot, &s, e), RDS_SNAPSHOT,
                       e);
    if (r < 0)
        return r;
    c->launch.snapshot = c->snapshot;
    r = check_snapshot(rq, in, &s, &c->launch, e);
    snapshot_info_done(&s);
    return r;
}

static int prepare(struct request *rq, const struct create_input *in, struct creation *c,
                   struct err *e)
{
    int r = check_numbers(in, host_config(rq->host), e);
    if (r == 0)
        r = rds_policy_make(&in->allow, in->internet, &c->firewall, e);
    if (r == 0)
        r = in->snapshot.len ? from_snapshot(rq, in, c, e) : from_image(rq, in, c, e);
    c->launch.account = rq->account;
    c->launch.name = in->name.data;
    c->launch.firewall = c->firewall;
    return r;
}

/* The place of a VM among the account's, in order of creation; of none: how many there are. */
static int count_vms(struct request *rq, const char *id, size_t *ret, struct err *e)
{
    CLEANUP(vm_list_done) struct vm_list l = {0};
    int r = host_vm_list(rq->host, rq->account, &l, e);
    if (r < 0)
        return r;
    for (*ret = 0; *ret < l.n; (*ret)++) {
        if (id && strcmp(l.items[*ret].id, id) == 0)
            break;
    }
    return 0;
}

static int check_quota(struct request *rq, const char *id, struct err *e)
{
    size_t n = 0;
    int max = host_config(rq->host)->rds_vms_max;
    int r = count_vms(rq, id, &n, e);
    if (r < 0 || !max || n < (size_t)max)
        return r;
    r = err_set(e, ERR_RATE, "VM quota exceeded (maxVms=%d)", max);
    if (e)
        e->retry_after_s = RDS_QUOTA_RETRY_S;
    return r;
}

static bool client_left(void *arg)
{
    const struct request *rq = arg;
    return request_fd_hung_up(rq->fd);
}

/* A launch that has to wait goes on when it is its turn; this API's clients get a VM that runs, or
 * none. */
static int await_running(struct request *rq, struct vm_info *v, struct err *e)
{
    char id[ID_SIZE];
    memcpy(id, v->id, sizeof(id));
    const struct vm_wait w = {
        .timeout_ms = RDS_START_TIMEOUT_MS, .cancelled = client_left, .arg = rq};
    vm_info_done(v);
    int r = host_vm_await(rq->host, rq->account, id, &w, v, e);
    if (r == 0 && v->state == VM_RUNNING)
        return 0;
    if (r == 0)
        r = err_set(e, ERR_UNAVAILABLE, "VM could not be started: %s", v->detail);
    (void)host_vm_delete(rq->host, rq->account, id, NULL);
    vm_info_done(v);
    return r;
}

/* Two that were counted at the same time: the later one goes. */
static int recheck_quota(struct request *rq, struct vm_info *v, struct err *e)
{
    int r = check_quota(rq, v->id, e);
    if (r == 0)
        return 0;
    (void)host_vm_delete(rq->host, rq->account, v->id, NULL);
    vm_info_done(v);
    return r;
}

/* Nobody else knows of it. */
static int give(struct request *rq, struct vm_info *v, struct err *e)
{
    if (!client_left(rq))
        return 0;
    (void)host_vm_delete(rq->host, rq->account, v->id, NULL);
    vm_info_done(v);
    return err_set(e, ERR_UNAVAILABLE, "the client has gone");
}

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(creation_done) struct creation c = {0};
    struct vm_info v = {0};
    int r = prepare(rq, rq->input.data, &c, e);
    if (r == 0)
        r = check_quota(rq, NULL, e);
    if (r == 0)
        r = host_vm_launch(rq->host, &c.launch, &v, e);
    if (r == 0)
        r = recheck_quota(rq, &v, e);
    if (r == 0 && v.state != VM_RUNNING)
        r = await_running(rq, &v, e);
    if (r == 0)
        r = give(rq, &v, e);
    if (r < 0)
        return r;
    ret->json = vm_json(rq, &v);
    vm_info_done(&v);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- GET, DELETE ---- */

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(vm_list_done) struct vm_list vms = {0};
    int r = host_vm_list(rq->host, rq->account, &vms, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < vms.n; i++)
        json_array_append_new(ret->json, vm_json(rq, &vms.items[i]));
    return ret->json ? 0 : -ENOMEM;
}

/* The VM of the path, as it is. */
static int look(struct request *rq, struct vm_info *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = rds_id(rq, 0, RDS_VM, id, e);
    return r < 0 ? r : rds_failed(host_vm_get(rq->host, rq->account, id, ret, e), RDS_VM, e);
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    struct vm_info v = {0};
    int r = look(rq, &v, e);
    if (r < 0)
        return r;
    ret->json = vm_json(rq, &v);
    vm_info_done(&v);
    return ret->json ? 0 : -ENOMEM;
}

static int delete (struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = rds_id(rq, 0, RDS_VM, id, e);
    if (r == 0)
        r = rds_failed(host_vm_delete(rq->host, rq->account, id, e), RDS_VM, e);
    ret->status = 204;
    return r;
}

/* ---- start, stop ---- */

/* "VM cannot start (state=STOPPING)" */
static int moved(int r, const struct vm_info *v, const char *what, struct err *e)
{
    if (r < 0 && e->class == ERR_CONFLICT)
        return err_set(e, ERR_CONFLICT, "VM cannot %s (state=%s)", what, rds_state(v->state));
    return rds_failed(r, RDS_VM, e);
}

static int start(struct request *rq, struct answer *ret, struct err *e)
{
    struct vm_info v = {0};
    int r = look(rq, &v, e);
    if (r < 0)
        return r;
    bool is_held = v.state == VM_PAUSING || v.state == VM_PAUSED || v.state == VM_SUSPENDING ||
                   v.state == VM_SUSPENDED || v.state == VM_RESUMING;
    if (is_held)
        r = host_vm_resume(rq->host, rq->account, v.id, NULL, e);
    else
        r = host_vm_start(rq->host, rq->account, v.id, NULL, e);
    r = moved(r, &v, "start", e);
    vm_info_done(&v);
    ret->status = 204;
    return r;
}

static int stop(struct request *rq, struct answer *ret, struct err *e)
{
    struct vm_info v = {0};
    int r = look(rq, &v, e);
    if (r < 0)
        return r;
    r = host_vm_stop(rq->host, rq->account, v.id, RDS_STOP_TIMEOUT_MS, NULL, e);
    r = moved(r, &v, "stop", e);
    vm_info_done(&v);
    ret->status = 204;
    return r;
}

/* ---- rows ---- */

#define MOVE(m, path_end, op, fn, text)                                                            \
    {                                                                                              \
        RDS_ROW(m, "/rds/v1/vms/{id}" path_end, op),                                               \
            .handler = fn, .content_type = "", .success = 204, .flags = ROUTE_ACCOUNT, .doc = text \
    }

const struct route rds_vm_routes[] = {
    {
        RDS_ROW(POST, "/rds/v1/vms", "rdsCreateVm"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct create_input),
        .response = vm_fields,
        .success = 201,
        .rate_per_min = 30,
        .flags = ROUTE_ACCOUNT,
        .doc = "Create a VM; answered once it runs",
    },
    {
        RDS_ROW(GET, "/rds/v1/vms", "rdsListVms"),
        .handler = list,
        .response = vm_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "The account's VMs, newest last",
    },
    {
        RDS_ROW(GET, "/rds/v1/vms/{id}", "rdsGetVm"),
        .handler = get,
        .response = vm_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "One VM",
    },
    MOVE(POST, "/start", "rdsStartVm", start, "Start a VM, or let it go on"),
    MOVE(POST, "/stop", "rdsStopVm", stop, "Shut a VM down; its disk stays"),
    MOVE(DELETE, "", "rdsDeleteVm", delete, "Delete a VM and its disk"),
    {0},
};

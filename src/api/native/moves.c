/* SPDX-License-Identifier: Apache-2.0 */

/* What moves a VM through its life: pause, resume, suspend, stop, start, TTL, fork, resize; and
 * what it uses. */

#include <errno.h>
#include <stddef.h>

#include "api/native/native.h"
#include "base/cleanup.h"
#include "base/limits.h"

/* ---- moves without a body ---- */

typedef int (*move_fn)(struct host *h, const char *account, const char *id, struct vm_info *ret,
                       struct err *e);

static int move(move_fn fn, struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct vm_info v = {0};
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = fn(rq->host, rq->account, id, &v, e);
    return r < 0 ? r : native_vm_answer(&v, ret);
}

static int pause_vm(struct request *rq, struct answer *ret, struct err *e)
{
    return move(host_vm_pause, rq, ret, e);
}

static int resume_vm(struct request *rq, struct answer *ret, struct err *e)
{
    return move(host_vm_resume, rq, ret, e);
}

static int suspend_vm(struct request *rq, struct answer *ret, struct err *e)
{
    return move(host_vm_suspend, rq, ret, e);
}

static int start_vm(struct request *rq, struct answer *ret, struct err *e)
{
    return move(host_vm_start, rq, ret, e);
}

static int refresh_ttl(struct request *rq, struct answer *ret, struct err *e)
{
    return move(host_vm_refresh_ttl, rq, ret, e);
}

/* ---- POST /v1/vms/{id}/stop ---- */

struct stop_input {
    int64_t timeout_s;
    bool force;
};

static const struct stop_input stop_defaults = {.timeout_s = VM_STOP_TIMEOUT_DEFAULT_S};

static const struct field stop_request[] = {
    {"timeoutSec", FIELD_INTEGER, 0, offsetof(struct stop_input, timeout_s), .min = 0,
     .max = VM_STOP_TIMEOUT_MAX_S, .doc = "How long it may shut down before it is turned off"},
    {"force", FIELD_BOOL, 0, offsetof(struct stop_input, force),
     .doc = "Turns it off at once, as a power cut does"},
    {0},
};

static int stop_vm(struct request *rq, struct answer *ret, struct err *e)
{
    const struct stop_input *in = rq->input.data;
    int timeout_ms = in->force ? 0 : (int)in->timeout_s * 1000;
    char id[ID_SIZE];
    struct vm_info v = {0};
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = host_vm_stop(rq->host, rq->account, id, timeout_ms, &v, e);
    return r < 0 ? r : native_vm_answer(&v, ret);
}

/* ---- POST /v1/vms/{id}/resize ---- */

struct resize_input {
    struct field_text machine_type;
    double disk_gib; /* 0: not given */
};

static const struct field resize_request[] = {
    {"diskGiB", FIELD_NUMBER, 0, offsetof(struct resize_input, disk_gib), .min = 1,
     .max = VM_DISK_MAX_GIB, .doc = "Grows the disk and its file system at once"},
    {"machineType", FIELD_TEXT, 0, offsetof(struct resize_input, machine_type), .max_bytes = 31,
     .min = 1, .doc = "Counts from the next start"},
    {0},
};

static int resize(struct request *rq, struct answer *ret, struct err *e)
{
    const struct resize_input *in = rq->input.data;
    const struct vm_patch p = {
        .what = (in->machine_type.data ? VM_PATCH_MACHINE_TYPE : 0u) |
                (in->disk_gib > 0 ? VM_PATCH_DISK : 0u),
        .machine_type = in->machine_type.data,
        .disk_bytes = native_gib_bytes(in->disk_gib),
    };
    char id[ID_SIZE];
    struct vm_info v = {0};
    int r = native_vm(rq, id, e);
    if (r == 0 && !p.what)
        r = err_field(e, "diskGiB", "give \"diskGiB\", \"machineType\" or both");
    if (r == 0)
        r = host_vm_patch(rq->host, rq->account, id, &p, &v, e);
    return r < 0 ? r : native_vm_answer(&v, ret);
}

/* ---- POST /v1/vms/{id}/fork ---- */

struct fork_input {
    int64_t count;
    struct field_text name;
    struct field_pairs metadata;
};

static const struct fork_input fork_defaults = {.count = 1};

static const struct field fork_request[] = {
    {"count", FIELD_INTEGER, 0, offsetof(struct fork_input, count), .min = 1, .max = VM_FORK_MAX,
     .doc = "How many copies"},
    {"name", FIELD_TEXT, 0, offsetof(struct fork_input, name), .max_bytes = VM_NAME_MAX_BYTES,
     .doc = "Their names: NAME-1, NAME-2, ...; NAME when there is one"},
    {"metadata", FIELD_MAP, 0, offsetof(struct fork_input, metadata), .max = VM_METADATA_MAX,
     .doc = "Theirs; the source's when missing"},
    {0},
};

static json_t *us_as_ms(int64_t us)
{
    return json_real((double)us / 1000);
}

static json_t *fork_json(const char *id, const struct vm_fork_result *f)
{
    json_t *forks = json_array();
    for (size_t i = 0; i < f->children.n; i++) {
        const struct vm_info *v = &f->children.items[i];
        json_array_append_new(forks,
                              json_pack("{s:o, s:o, s:o}", "id", native_id_json(v->id), "readyMs",
                                        us_as_ms(f->ready_us[i]), "vm", native_vm_json(v)));
    }
    return json_pack("{s:o, s:o, s:o}", "vmId", native_id_json(id), "pauseMs",
                     us_as_ms(f->pause_us), "forks", forks);
}

static int fork_vm(struct request *rq, struct answer *ret, struct err *e)
{
    const struct fork_input *in = rq->input.data;
    const struct vm_fork f = {
        .count = (int)in->count, .name = in->name.data, .metadata = in->metadata.object};
    char id[ID_SIZE];
    CLEANUP(vm_fork_result_done) struct vm_fork_result result = {0};
    int r = native_vm(rq, id, e);
    if (r == 0 && f.metadata)
        r = native_check_metadata("metadata", f.metadata, e);
    if (r == 0)
        r = host_vm_fork(rq->host, rq->account, id, &f, &result, e);
    if (r < 0)
        return r;
    ret->json = fork_json(id, &result);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field child_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the copy"},
    {"readyMs", FIELD_NUMBER, FIELD_REQUIRED, .doc = "From the call until its agent had answered"},
    {"vm", FIELD_OBJECT, FIELD_REQUIRED, .fields = native_vm_fields, .doc = "The copy"},
    {0},
};

static const struct field fork_fields[] = {
    {"vmId", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the source"},
    {"pauseMs", FIELD_NUMBER, FIELD_REQUIRED, .doc = "How long the source stood still"},
    {"forks", FIELD_OBJECTS, FIELD_REQUIRED, .fields = child_fields, .doc = "The copies"},
    {0},
};

/* ---- GET /v1/vms/{id}/stats ---- */

static int get_stats(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct vm_stats s = {0};
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = host_vm_stats(rq->host, rq->account, id, &s, e);
    if (r < 0)
        return r;
    ret->json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "cpuTimeMs",
        (json_int_t)(s.monitor.cpu_us / 1000), "memoryBytes", (json_int_t)s.monitor.pss_bytes,
        "privateMemoryBytes", (json_int_t)s.monitor.private_bytes, "diskBytes",
        (json_int_t)s.monitor.disk_bytes, "diskIoBytes", (json_int_t)s.monitor.io_bytes,
        "networkRxBytes", (json_int_t)s.net_rx_bytes, "networkTxBytes", (json_int_t)s.net_tx_bytes,
        "commands", s.execs);
    json_object_set_new(ret->json, "hostAddress",
                        s.host_address[0] ? json_string(s.host_address) : json_null());
    return ret->json ? 0 : -ENOMEM;
}

static const struct field stats_fields[] = {
    {"cpuTimeMs", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Of the host's CPUs, since it was started"},
    {"memoryBytes", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "Of the host's memory; pages it shares are counted by its share of them"},
    {"privateMemoryBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "That no other VM has a part in"},
    {"diskBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Of the host's disk that are its own"},
    {"diskIoBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Read and written since it was started"},
    {"networkRxBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Received by the guest"},
    {"networkTxBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Sent by the guest"},
    {"commands", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "Commands and terminals that Holm runs in it now"},
    {"hostAddress", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "Where this host reaches it; null without a network"},
    {0},
};

/* ---- rows ---- */

#define MOVE(path_end, op, fn, text)                                                         \
    {                                                                                        \
        NATIVE_ROW(POST, "/v1/vms/{id}/" path_end, op),                                      \
            .handler = fn, .response = native_vm_fields, .flags = ROUTE_ACCOUNT, .doc = text \
    }

const struct route native_move_routes[] = {
    MOVE("pause", "pauseVm", pause_vm, "Hold a VM still, in memory"),
    MOVE("resume", "resumeVm", resume_vm, "Let a paused or suspended VM go on"),
    MOVE("suspend", "suspendVm", suspend_vm, "Save a VM to disk and free its memory"),
    MOVE("start", "startVm", start_vm, "Boot a stopped VM from its disk"),
    MOVE("ttl/refresh", "refreshTtl", refresh_ttl, "Start the TTL anew"),
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/stop", "stopVm"),
        .handler = stop_vm,
        .request = stop_request,
        .input_bytes = sizeof(struct stop_input),
        .input_defaults = &stop_defaults,
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_BODY_OPTIONAL,
        .doc = "Shut a VM down; its disk stays",
    },
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/resize", "resizeVm"),
        .handler = resize,
        .request = resize_request,
        .input_bytes = sizeof(struct resize_input),
        .response = native_vm_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Grow the disk, or choose the machine type of the next start",
    },
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/fork", "forkVm"),
        .handler = fork_vm,
        .request = fork_request,
        .input_bytes = sizeof(struct fork_input),
        .input_defaults = &fork_defaults,
        .response = fork_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT | ROUTE_BODY_OPTIONAL,
        .doc = "Copies of a running or paused VM, with all that runs in it",
    },
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/stats", "getVmStats"),
        .handler = get_stats,
        .response = stats_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "What a VM uses now",
    },
    {0},
};

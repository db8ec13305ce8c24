/* SPDX-License-Identifier: Apache-2.0 */

/* Commands in the background: list them, read their output from any place on, end them. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/native/exec.h"
#include "api/stream.h"
#include "base/cleanup.h"
#include "base/limits.h"

static int ids(const struct request *rq, char ret_vm[ID_SIZE], char ret_job[ID_SIZE], struct err *e)
{
    int r = native_vm(rq, ret_vm, e);
    return r < 0 ? r : native_id(rq, 1, "command", ret_job, e);
}

/* ---- GET /v1/vms/{id}/exec, /v1/vms/{id}/exec/{execId} ---- */

static json_t *job_json(const struct guest_job *j)
{
    json_t *o = json_pack("{s:o, s:O, s:b}", "execId", native_id_json(j->id), "command", j->argv,
                          "running", j->running);
    json_object_set_new(o, "exitCode",
                        j->running ? json_null() : json_integer(command_exit_code(&j->exit)));
    json_object_set_new(o, "timedOut", json_boolean(!j->running && j->exit.timed_out));
    json_object_set_new(o, "startedAt", native_time_json(j->started_ms * 1000000));
    json_object_set_new(o, "durationMs", json_integer(j->wall_ms));
    json_object_set_new(o, "outputBytes", json_integer(j->output_bytes));
    json_object_set_new(o, "firstOffset", json_integer(j->first_offset));
    return o;
}

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    char vm[ID_SIZE];
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    int r = native_vm(rq, vm, e);
    if (r == 0)
        r = host_vm_jobs(rq->host, rq->account, vm, NULL, &jobs, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < jobs.n; i++)
        json_array_append_new(ret->json, job_json(&jobs.items[i]));
    return ret->json ? 0 : -ENOMEM;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char vm[ID_SIZE], job[ID_SIZE];
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    int r = ids(rq, vm, job, e);
    if (r == 0)
        r = host_vm_jobs(rq->host, rq->account, vm, job, &jobs, e);
    if (r < 0)
        return r;
    if (!jobs.n)
        return err_set(e, ERR_NOT_FOUND, "there is no command \"%.64s\"", rq->params[1]);
    ret->json = job_json(&jobs.items[0]);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field job_fields[] = {
    {"execId", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"command", FIELD_TEXTS, FIELD_REQUIRED, .doc = "The program and its arguments"},
    {"running", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it has not ended"},
    {"exitCode", FIELD_INTEGER, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "null while it runs"},
    {"timedOut", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether timeoutSec ended it"},
    {"startedAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was started"},
    {"durationMs", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How long it ran, or has been running"},
    {"outputBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "What it has written, both streams"},
    {"firstOffset", FIELD_INTEGER, FIELD_REQUIRED, .doc = "The first byte of that which is kept"},
    {0},
};

/* ---- GET /v1/vms/{id}/exec/{execId}/output ---- */

struct output_query {
    int64_t offset;
    bool follow;
};

static const struct output_query output_defaults = {.follow = true};

static const struct field output_query[] = {
    {"offset", FIELD_INTEGER, 0, offsetof(struct output_query, offset), .min = 0, .max = INT64_MAX,
     .doc = "The byte to begin with; the first one that is kept when that is later"},
    {"follow", FIELD_BOOL, 0, offsetof(struct output_query, follow),
     .doc = "0: ends where the output ends now"},
    {0},
};

/* What one reader of a job's output is. */
struct reader {
    struct host *host;
    char account[ID_SIZE], vm[ID_SIZE], job[ID_SIZE];
    struct guest_job_output output;
};

static int write_output(void *arg, int stream, int64_t offset, const void *data, size_t len)
{
    const struct run_pair piece = {.data = data, .len = len};
    return command_write_output(arg, stream, offset + (int64_t)len, &piece);
}

static int run_reader(struct stream *s, void *arg, struct err *e)
{
    struct reader *rd = arg;
    rd->output.output = write_output;
    rd->output.cancelled = stream_cancelled;
    rd->output.arg = s;
    int r = host_vm_job_output(rd->host, rd->account, rd->vm, rd->job, &rd->output, e);
    if (r < 0 || !rd->output.ended)
        return r;
    return stream_write_json(s, command_exit_event(&rd->output.exit));
}

/* No x: that would say that the command has ended. */
static json_t *reader_error(const struct err *e)
{
    return NULL;
}

static int get_output(struct request *rq, struct answer *ret, struct err *e)
{
    const struct output_query *q = rq->query.data;
    auto_free struct reader *rd = calloc(1, sizeof(*rd));
    if (!rd)
        return err_errno(e, -ENOMEM, "read the output");
    rd->host = rq->host;
    rd->output.offset = q->offset;
    rd->output.follow = q->follow;
    memcpy(rd->account, rq->account, sizeof(rd->account));
    int r = ids(rq, rd->vm, rd->job, e);
    if (r < 0)
        return r;
    const struct stream_job job = {
        .run = run_reader, .error_line = reader_error, .free = free, .arg = TAKE_PTR(rd)};
    return stream_start(rq, &job, ret, e);
}

static const char *const event_types[] = {"o", "e", "x", NULL};

static const struct field event_fields[] = {
    {"t", FIELD_CHOICE, FIELD_REQUIRED, .choices = event_types,
     .doc = "Standard output, standard error, or the end of the command"},
    {"d", FIELD_TEXT, 0, .doc = "Bytes in base64; of x: why it could not be run"},
    {"off", FIELD_INTEGER, 0, .doc = "The offset behind these bytes: where to go on"},
    {"c", FIELD_INTEGER, 0, .doc = "Of x: the exit code, when it is not 0"},
    {"to", FIELD_BOOL, 0, .doc = "Of x: whether timeoutSec ended it"},
    {"ms", FIELD_INTEGER, 0, .doc = "Of x: how long it ran"},
    {0},
};

/* ---- DELETE /v1/vms/{id}/exec/{execId} ---- */

struct end_query {
    int64_t signal;
};

static const struct end_query end_defaults = {.signal = 9};

static const struct field end_query[] = {
    {"signal", FIELD_INTEGER, 0, offsetof(struct end_query, signal), .min = 1, .max = 64,
     .doc = "What a running one is sent"},
    {0},
};

/* The guest knows best whether it runs, so it is asked to forget it first. */
static int end(struct request *rq, struct answer *ret, struct err *e)
{
    const struct end_query *q = rq->query.data;
    char vm[ID_SIZE], job[ID_SIZE];
    struct err refused = ERR_INIT;
    int r = ids(rq, vm, job, e);
    if (r < 0)
        return r;
    r = host_vm_job_forget(rq->host, rq->account, vm, job, &refused);
    if (r == 0)
        return native_deleted(job, true, ret);
    if (refused.class != ERR_CONFLICT) {
        *e = refused;
        return r;
    }
    r = host_vm_job_signal(rq->host, rq->account, vm, job, (int)q->signal, e);
    return r < 0 ? r : native_deleted(job, false, ret);
}

/* ---- rows ---- */

const struct route native_job_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/exec", "listExecs"),
        .handler = list,
        .response = job_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "Commands in the background, running and ended",
    },
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/exec/{execId}", "getExec"),
        .handler = get,
        .response = job_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "One command in the background",
    },
    {
        NATIVE_ROW(GET, "/v1/vms/{id}/exec/{execId}/output", "getExecOutput"),
        .handler = get_output,
        .query = output_query,
        .query_bytes = sizeof(struct output_query),
        .query_defaults = &output_defaults,
        .response = event_fields,
        .content_type = "application/x-ndjson",
        .flags = ROUTE_ACCOUNT,
        .doc = "Its output from any offset on, as lines of JSON",
    },
    {
        NATIVE_ROW(DELETE, "/v1/vms/{id}/exec/{execId}", "deleteExec"),
        .handler = end,
        .query = end_query,
        .query_bytes = sizeof(struct end_query),
        .query_defaults = &end_defaults,
        .response = native_deleted_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Signal a command that runs, forget one that has ended",
    },
    {0},
};

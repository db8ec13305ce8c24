/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/guest_job.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "wire/field.h"

void guest_jobs_done(struct guest_jobs *j)
{
    for (size_t i = 0; i < j->n; i++)
        json_decref(j->items[i].argv);
    free(j->items);
    *j = (struct guest_jobs){0};
}

json_t *guest_job_argv(char *const *argv)
{
    auto_json json_t *list = json_array();
    size_t left = AGENT_JOB_ARGV_MAX_BYTES;
    for (; list && *argv; argv++) {
        size_t len = strlen(*argv) + 1;
        if (len > left)
            break;
        left -= len;
        if (json_array_append_new(list, json_string(*argv)) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}

int guest_job_encode(const struct guest_job *job, struct buf *out)
{
    auto_free char *argv = json_dumps(job->argv, JSON_COMPACT);
    if (!argv)
        return -ENOMEM;
    buf_printf(out,
               "{\"id\":\"%s\",\"argv\":%s,\"pid\":%lld,\"running\":%s,\"started_ms\":%lld,"
               "\"wall_ms\":%lld,\"output_bytes\":%lld,\"first_offset\":%lld",
               job->id, argv, (long long)job->pid, job->running ? "true" : "false",
               (long long)job->started_ms, (long long)job->wall_ms, (long long)job->output_bytes,
               (long long)job->first_offset);
    if (!job->running) {
        buf_append_str(out, ",\"exit\":");
        exec_exit_encode(&job->exit, out);
    }
    return buf_append_str(out, "}");
}

static int decode_id(json_t *obj, struct guest_job *ret, struct err *e)
{
    const char *id;
    int r = field_str(obj, "id", FIELD_REQUIRED, EXEC_JOB_ID_MAX_BYTES, &id, e);
    if (r < 0)
        return r;
    if (!exec_job_id_is_valid(id))
        return err_field(e, "id", "id is none of a job");
    snprintf(ret->id, sizeof(ret->id), "%s", id);
    return 0;
}

static int decode_argv(json_t *obj, struct guest_job *ret, struct err *e)
{
    json_t *argv = json_object_get(obj, "argv"), *s;
    size_t i, len = 0;
    if (!json_is_array(argv))
        return err_field(e, "argv", "argv must be a list of strings");
    json_array_foreach(argv, i, s)
    {
        if (!json_is_string(s) || (len += json_string_length(s) + 1) > AGENT_JOB_ARGV_MAX_BYTES)
            return err_field(e, "argv", "argv[%zu] is no string or one too many", i);
    }
    ret->argv = json_incref(argv);
    return 0;
}

static int decode_exit(json_t *obj, struct guest_job *ret, struct err *e)
{
    auto_free char *text = json_dumps(json_object_get(obj, "exit"), JSON_COMPACT);
    if (!text)
        return err_field(e, "exit", "exit must be an object");
    return exec_exit_decode(text, strlen(text), &ret->exit, e);
}

static int decode_job(json_t *obj, struct guest_job *ret, struct err *e)
{
    static const struct field_range count = {0, INT64_MAX}, any = {INT64_MIN, INT64_MAX},
                                    pid_range = {1, INT_MAX};
    struct guest_job j = {0};
    if (!json_is_object(obj))
        return err_field(e, "jobs", "a job is not an object");
    int r = decode_id(obj, &j, e);
    r = r < 0 ? r : field_int(obj, "pid", FIELD_REQUIRED, pid_range, &j.pid, e);
    r = r < 0 ? r : field_bool(obj, "running", FIELD_REQUIRED, &j.running, e);
    r = r < 0 ? r : field_int(obj, "started_ms", FIELD_REQUIRED, any, &j.started_ms, e);
    r = r < 0 ? r : field_int(obj, "wall_ms", FIELD_REQUIRED, count, &j.wall_ms, e);
    r = r < 0 ? r : field_int(obj, "output_bytes", FIELD_REQUIRED, count, &j.output_bytes, e);
    r = r < 0 ? r : field_int(obj, "first_offset", FIELD_REQUIRED, count, &j.first_offset, e);
    r = r < 0 || j.running ? r : decode_exit(obj, &j, e);
    r = r < 0 ? r : decode_argv(obj, &j, e);
    if (r == 0)
        *ret = j;
    return r;
}

int guest_job_decode(const char *json, size_t len, struct guest_jobs *ret, struct err *e)
{
    auto_json json_t *obj = NULL;
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {.items = calloc(1, sizeof(*jobs.items))};
    if (!jobs.items)
        return err_errno(e, -ENOMEM, "job");
    if (len > AGENT_REPORT_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a job of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    r = r < 0 ? r : decode_job(obj, &jobs.items[0], e);
    if (r < 0)
        return r;
    jobs.n = 1;
    *ret = jobs;
    jobs = (struct guest_jobs){0};
    return 0;
}

int guest_jobs_decode(const char *json, size_t len, struct guest_jobs *ret, struct err *e)
{
    auto_json json_t *obj = NULL;
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    if (len > AGENT_ANSWER_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a list of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    if (r < 0)
        return r;
    json_t *list = json_object_get(obj, "jobs"), *item;
    size_t i, n = json_array_size(list);
    if (!json_is_array(list) || n > AGENT_JOBS_MAX)
        return err_field(e, "jobs", "jobs must be a list of at most %d", AGENT_JOBS_MAX);
    jobs.items = calloc(n + 1, sizeof(*jobs.items));
    if (!jobs.items)
        return err_errno(e, -ENOMEM, "jobs");
    json_array_foreach(list, i, item)
    {
        r = decode_job(item, &jobs.items[i], e);
        if (r < 0)
            return r;
        jobs.n++;
    }
    *ret = jobs;
    jobs = (struct guest_jobs){0};
    return 0;
}

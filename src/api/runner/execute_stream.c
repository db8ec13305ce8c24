/* SPDX-License-Identifier: Apache-2.0 */

/* A run whose output is sent as it comes: a line for each piece, and one for how it ended. */

#include <stdlib.h>

#include "api/runner/execute.h"
#include "api/runner/runner.h"
#include "api/stream.h"
#include "base/base64.h"
#include "base/cleanup.h"

struct streamed_run {
    struct host *host;
    struct job job;
    struct stream *stream;
    struct job_results results;
    size_t index; /* which input of a batch is run */
};

static bool on_cancelled(void *arg)
{
    const struct streamed_run *sr = arg;
    return stream_cancelled(sr->stream);
}

static int on_output(void *arg, int stream, const void *data, size_t len)
{
    const struct streamed_run *sr = arg;
    auto_buf struct buf line = {0};
    buf_printf(&line, "{\"t\":\"%c\",", stream == 1 ? 'o' : 'e');
    if (sr->job.is_batch)
        buf_printf(&line, "\"i\":%zu,", sr->index);
    buf_append_str(&line, "\"d\":\"");
    base64_encode(data, len, &line);
    buf_append_str(&line, "\"}\n");
    return line.failed ? -ENOMEM : stream_write(sr->stream, line.data, line.len);
}

static json_t *exit_line(const struct run_result *r)
{
    json_t *o = json_pack("{s:s, s:i, s:I, s:I}", "t", "x", "c", r->exit_code, "ms",
                          (json_int_t)(r->exec_us + 500) / 1000, "load_ms",
                          (json_int_t)(r->load_us + 500) / 1000);
    if (r->timed_out)
        json_object_set_new(o, "to", json_true());
    json_object_set_new(o, "cpu_time_us", json_integer(r->cpu_us));
    json_object_set_new(o, "memory_peak_kb", json_integer(r->memory_peak_bytes / 1024));
    job_add_marks(o, r);
    return o;
}

/* An input of a batch has been run to its end. */
static int on_ended(void *arg, const struct run_result *r)
{
    struct streamed_run *sr = arg;
    json_t *line = exit_line(r);
    json_object_set_new(line, "i", json_integer((json_int_t)sr->index++));
    return stream_write_json(sr->stream, line);
}

static json_t *error_line(const struct err *e)
{
    json_t *o = json_pack("{s:s, s:i}", "t", "error", "status", err_http_status(e->class));
    json_t *shape = runner_error(e);
    json_object_update_missing(o, shape);
    json_decref(shape);
    return o;
}

static int run(struct stream *s, void *arg, struct err *e)
{
    struct streamed_run *sr = arg;
    sr->stream = s;
    sr->job.run.output = on_output;
    sr->job.run.cancelled = on_cancelled;
    sr->job.run.ended = on_ended;
    sr->job.run.arg = sr;
    int r = job_results_new(&sr->job, &sr->results, e);
    if (r == 0)
        r = job_run(sr->host, &sr->job, false, sr->results.items, e);
    if (r == 0 && !sr->job.is_batch)
        (void)stream_write_json(s, exit_line(&sr->results.items[0]));
    return r;
}

static void free_run(void *arg)
{
    struct streamed_run *sr = arg;
    job_done(&sr->job);
    job_results_free(&sr->results);
    free(sr);
}

int execute_stream(struct request *rq, struct job *j, struct answer *ret, struct err *e)
{
    struct streamed_run *sr = calloc(1, sizeof(*sr));
    if (!sr)
        return err_errno(e, -ENOMEM, "stream the output");
    sr->host = rq->host;
    sr->job = *j;
    *j = (struct job){0};
    const struct stream_job job = {run, error_line, free_run, sr};
    return stream_start(rq, &job, ret, e);
}

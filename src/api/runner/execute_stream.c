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
    buf_printf(&line, "{\"t\":\"%c\",\"d\":\"", stream == 1 ? 'o' : 'e');
    base64_encode(data, len, &line);
    buf_append_str(&line, "\"}\n");
    return line.failed ? -ENOMEM : stream_write(sr->stream, line.data, line.len);
}

static json_t *exit_line(const struct run_result *r)
{
    json_t *o = json_pack("{s:s, s:i, s:I, s:I}", "t", "x", "c", r->exit_code, "ms",
                          (json_int_t)(r->exec_us + 500) / 1000, "load_ms",
                          (json_int_t)(r->load_us + 500) / 1000);
    char name[16];
    if (r->timed_out)
        json_object_set_new(o, "to", json_true());
    if (r->signal)
        json_object_set_new(o, "signal", json_string(job_signal_name(r->signal, name)));
    return o;
}

static json_t *error_line(const struct err *e)
{
    json_t *o = json_pack("{s:s, s:i}", "t", "error", "status", err_http_status(e->class));
    json_t *shape = runner_error(e);
    json_object_update(o, shape);
    json_decref(shape);
    return o;
}

static int run(struct stream *s, void *arg, struct err *e)
{
    struct streamed_run *sr = arg;
    sr->stream = s;
    sr->job.run.output = on_output;
    sr->job.run.cancelled = on_cancelled;
    sr->job.run.arg = sr;
    CLEANUP(run_result_done) struct run_result result = {0};
    int r = host_run(sr->host, &sr->job.run, &result, e);
    if (r == 0)
        (void)stream_write_json(s, exit_line(&result));
    return r;
}

static void free_run(void *arg)
{
    struct streamed_run *sr = arg;
    job_done(&sr->job);
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

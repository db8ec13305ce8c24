/* SPDX-License-Identifier: Apache-2.0 */
#include "api/runner/execute.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/runner/runner.h"
#include "api/text.h"
#include "base/base64.h"
#include "base/limits.h"

/* Base64 that decodes to `n` bytes; for bounds in tables, where base64_size cannot be called. */
#define BASE64_OF(n) (((n) + 2) / 3 * 4)
#define AT(member) offsetof(struct execute_input, member)

static const char *const encodings[] = {
    [TEXT_UTF8] = "utf-8", [TEXT_BASE64] = "base64", [TEXT_BASE64 + 1] = NULL};

const struct field execute_request[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, AT(language),
     .doc = "Name or alias of the language, as in /api/v1/languages"},
    {"code", FIELD_TEXT, FIELD_REQUIRED | FIELD_NUL, AT(code), .max_bytes = RUN_CODE_MAX_BYTES,
     .doc = "The program's source"},
    {"timeout", FIELD_INTEGER, 0, AT(timeout_s), .min = 1, .max = RUN_TIMEOUT_MAX_S,
     .doc = "Seconds after which the program is killed, compilation included"},
    {"args", FIELD_TEXTS, 0, AT(args), .max = RUN_ARGS_MAX, .max_bytes = RUN_ARGS_MAX_BYTES,
     .doc = "Arguments of the program"},
    {"stdin", FIELD_TEXT, FIELD_NUL, AT(stdin_data), .max_bytes = BASE64_OF(RUN_STDIN_MAX_BYTES),
     .doc = "What the program reads from its standard input"},
    {"env", FIELD_MAP, 0, AT(env), .max = RUN_ENV_MAX, .max_bytes = RUN_ENV_MAX_BYTES,
     .doc = "Environment variables of the program"},
    {"files", FIELD_FILES, FIELD_NUL, AT(files), .max = RUN_FILES_MAX,
     .max_bytes = BASE64_OF(RUN_FILES_MAX_BYTES),
     .doc = "Files put beside the program: names and contents"},
    {"stdin_encoding", FIELD_CHOICE, 0, AT(stdin_encoding), .choices = encodings,
     .doc = "How stdin is written"},
    {"files_encoding", FIELD_CHOICE, 0, AT(files_encoding), .choices = encodings,
     .doc = "How the contents of all files are written"},
    {"output_encoding", FIELD_CHOICE, 0, AT(output_encoding), .choices = encodings,
     .doc = "How stdout and stderr are to be written; with utf-8, other bytes become U+FFFD"},
    {0},
};

const struct execute_input execute_defaults = {.timeout_s = RUN_TIMEOUT_DEFAULT_S};

const struct field execute_response[] = {
    {"stdout", FIELD_TEXT, FIELD_REQUIRED, .doc = "What the program wrote to standard output"},
    {"stderr", FIELD_TEXT, FIELD_REQUIRED,
     .doc = "What it, or the compiler, wrote to standard error"},
    {"exit_code", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "Of the program; 128 + signal when a signal ended it, 124 at the timeout"},
    {"load_time", FIELD_TEXT, FIELD_REQUIRED, .doc = "Until its machine was ready, like \"125ms\""},
    {"exec_time", FIELD_TEXT, FIELD_REQUIRED, .doc = "How long it ran, compilation included"},
    {"load_time_us", FIELD_INTEGER, FIELD_REQUIRED, .doc = "load_time in microseconds"},
    {"exec_time_us", FIELD_INTEGER, FIELD_REQUIRED, .doc = "exec_time in microseconds"},
    {"timed_out", FIELD_BOOL, 0, .doc = "true, when it was killed at the timeout"},
    {"signal", FIELD_TEXT, 0, .doc = "Name of the signal that ended it, like \"SIGSEGV\""},
    {"stdout_truncated", FIELD_BOOL, 0, .doc = "true, when there was more than is returned"},
    {"stderr_truncated", FIELD_BOOL, 0, .doc = "true, when there was more than is returned"},
    {0},
};

/* ---- the job ---- */

static int too_large(const char *field, unsigned long long max, struct err *e)
{
    err_field(e, field, "field \"%s\" has more than %llu bytes", field, max);
    e->class = ERR_TOO_LARGE;
    return -E2BIG;
}

static int decode_base64(const char *field, const char *text, size_t len, struct buf *ret,
                         struct err *e)
{
    int r = base64_decode(text, len, ret);
    if (r == -EINVAL)
        return err_field(e, field, "field \"%s\" is not valid base64", field);
    return r < 0 ? err_errno(e, r, "decode %s", field) : 0;
}

static int init_stdin(struct job *j, const struct execute_input *in, struct err *e)
{
    j->run.stdin_data = in->stdin_data.data;
    j->run.stdin_len = in->stdin_data.len;
    if (in->stdin_encoding == TEXT_BASE64) {
        int r = decode_base64("stdin", in->stdin_data.data, in->stdin_data.len, &j->stdin_bytes, e);
        if (r < 0)
            return r;
        j->run.stdin_data = buf_str(&j->stdin_bytes);
        j->run.stdin_len = j->stdin_bytes.len;
    }
    if (j->run.stdin_len > RUN_STDIN_MAX_BYTES)
        return too_large("stdin", RUN_STDIN_MAX_BYTES, e);
    return 0;
}

/* Replaces the contents by what they mean; the pairs are the input's own array. */
static int decode_files(struct job *j, struct execute_input *in, struct err *e)
{
    j->n_files = in->files.n;
    j->files_bytes = calloc(j->n_files + 1, sizeof(*j->files_bytes));
    if (!j->files_bytes)
        return err_errno(e, -ENOMEM, "decode files");
    for (size_t i = 0; i < in->files.n; i++) {
        struct run_pair *file = &in->files.items[i];
        char field[64];
        snprintf(field, sizeof(field), "files[\"%.40s\"]", file->name);
        int r = decode_base64(field, file->data, file->len, &j->files_bytes[i], e);
        if (r < 0)
            return r;
        file->data = buf_str(&j->files_bytes[i]);
        file->len = j->files_bytes[i].len;
    }
    return 0;
}

static int init_files(struct job *j, struct execute_input *in, struct err *e)
{
    int r = in->files_encoding == TEXT_BASE64 ? decode_files(j, in, e) : 0;
    uint64_t bytes = 0;
    for (size_t i = 0; r == 0 && i < in->files.n; i++)
        bytes += strlen(in->files.items[i].name) + in->files.items[i].len;
    if (r == 0 && bytes > RUN_FILES_MAX_BYTES)
        return too_large("files", RUN_FILES_MAX_BYTES, e);
    j->run.files = in->files.items;
    j->run.n_files = in->files.n;
    return r;
}

/* A language that cannot be run now says why; host_run would only try. */
static int check_ready(struct host *h, const struct language *lang, struct err *e)
{
    struct language_status status = {0};
    host_language_status(h, lang, &status);
    switch (status.state) {
    case LANGUAGE_READY:
        return 0;
    case LANGUAGE_PREPARING:
        err_set(e, ERR_FULL, "%s is still being prepared; try again in a few seconds", lang->name);
        e->retry_after_s = 5;
        return -EAGAIN;
    case LANGUAGE_MISSING:
        return err_set(e, ERR_UNAVAILABLE, "the image of %s (%s) was not built on this host%s%s",
                       lang->name, lang->image, status.detail[0] ? ": " : "", status.detail);
    case LANGUAGE_FAILED:
        return err_set(e, ERR_UNAVAILABLE, "%s could not be prepared on this host: %s", lang->name,
                       status.detail);
    }
    return 0;
}

int job_init(struct request *rq, struct job *ret, struct err *e)
{
    CLEANUP(job_done) struct job j = {.input = rq->input};
    rq->input = (struct input){0};
    struct execute_input *in = j.input.data;
    const struct language *lang;
    int r = runner_language(in->language.data, &lang, e);
    if (r == 0)
        r = init_stdin(&j, in, e);
    if (r == 0)
        r = init_files(&j, in, e);
    if (r == 0)
        r = check_ready(rq->host, lang, e);
    if (r < 0)
        return r;
    j.run.language = lang->name;
    j.run.code = in->code.data;
    j.run.code_len = in->code.len;
    j.run.args = in->args.items;
    j.run.n_args = in->args.n;
    j.run.env = in->env.items;
    j.run.n_env = in->env.n;
    j.run.timeout_ms = (int)in->timeout_s * 1000;
    *ret = j;
    j = (struct job){0};
    return 0;
}

void job_done(struct job *j)
{
    input_done(&j->input);
    buf_done(&j->stdin_bytes);
    for (size_t i = 0; i < j->n_files; i++)
        buf_done(&j->files_bytes[i]);
    free(j->files_bytes);
    *j = (struct job){0};
}

const char *job_signal_name(int signal, char ret[16])
{
    if (!signal)
        return NULL;
    const char *name = sigabbrev_np(signal);
    if (name)
        snprintf(ret, 16, "SIG%s", name);
    else
        snprintf(ret, 16, "%d", signal);
    return ret;
}

/* ---- the answer in one piece ---- */

static json_t *output_json(const struct buf *b, int encoding)
{
    if (encoding == TEXT_UTF8)
        return text_json(b->data, b->len);
    auto_buf struct buf text = {0};
    if (base64_encode(b->data, b->len, &text) < 0)
        return NULL;
    return json_string(buf_str(&text));
}

static json_t *duration_json(int64_t us)
{
    char text[32];
    snprintf(text, sizeof(text), "%lldms", (long long)((us + 500) / 1000));
    return json_string(text);
}

static json_t *result_json(const struct run_result *r, int encoding)
{
    json_t *o =
        json_pack("{s:o, s:o, s:i, s:o, s:o, s:I, s:I}", "stdout", output_json(&r->out, encoding),
                  "stderr", output_json(&r->err, encoding), "exit_code", r->exit_code, "load_time",
                  duration_json(r->load_us), "exec_time", duration_json(r->exec_us), "load_time_us",
                  (json_int_t)r->load_us, "exec_time_us", (json_int_t)r->exec_us);
    char name[16];
    const char *signal = job_signal_name(r->signal, name);
    if (r->timed_out)
        json_object_set_new(o, "timed_out", json_true());
    if (signal)
        json_object_set_new(o, "signal", json_string(signal));
    if (r->out_truncated)
        json_object_set_new(o, "stdout_truncated", json_true());
    if (r->err_truncated)
        json_object_set_new(o, "stderr_truncated", json_true());
    return o;
}

static bool client_gone(void *arg)
{
    const struct request *rq = arg;
    return request_fd_hung_up(rq->fd);
}

int execute_handle(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(job_done) struct job j = {0};
    int r = job_init(rq, &j, e);
    if (r < 0)
        return r;
    if (request_accepts(rq, "application/x-ndjson"))
        return execute_stream(rq, &j, ret, e);
    j.run.cancelled = client_gone;
    j.run.arg = rq;
    CLEANUP(run_result_done) struct run_result result = {0};
    r = host_run(rq->host, &j.run, &result, e);
    if (r < 0)
        return r;
    const struct execute_input *in = j.input.data;
    ret->json = result_json(&result, in->output_encoding);
    return ret->json ? 0 : -ENOMEM;
}

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
#include "host/remote.h"

#define AT(member) offsetof(struct execute_input, member)

const char *const text_encodings[] = {
    [TEXT_UTF8] = "utf-8", [TEXT_BASE64] = "base64", [TEXT_BASE64 + 1] = NULL};

#define LIMIT(member) offsetof(struct limits_input, member)

const struct field limits_request[] = {
    {"memory_mb", FIELD_INTEGER, 0, LIMIT(memory_mb), .min = RUN_LIMIT_MEMORY_MIN_MIB,
     .max = RUN_LIMIT_MAX_MIB, .doc = "MiB of memory, of the program and all that it starts"},
    {"processes", FIELD_INTEGER, 0, LIMIT(processes), .min = 1, .max = RUN_LIMIT_PROCESSES_MAX,
     .doc = "Processes and threads at the same time"},
    {"file_size_mb", FIELD_INTEGER, 0, LIMIT(file_size_mb), .min = 1, .max = RUN_LIMIT_MAX_MIB,
     .doc = "MiB of one file that it writes"},
    {"output_kb", FIELD_INTEGER, 0, LIMIT(output_kb), .min = 1, .max = RUN_OUTPUT_MAX_BYTES / KIB,
     .doc = "KiB of each of its outputs; what is beyond is dropped"},
    {0},
};

const struct field execute_request[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, AT(language),
     .doc = "Name or alias of the language, as in /api/v1/languages"},
    {"code", FIELD_TEXT, FIELD_NUL, AT(code), .max_bytes = RUN_CODE_MAX_BYTES,
     .doc = "The program's source; without it one of `files` is the program"},
    {"timeout", FIELD_INTEGER, 0, AT(timeout_s), .min = 1, .max = RUN_TIMEOUT_MAX_S,
     .doc = "Seconds after which the program is killed, compilation included"},
    {"args", FIELD_TEXTS, 0, AT(args), .max = RUN_ARGS_MAX, .max_bytes = RUN_ARGS_MAX_BYTES,
     .doc = "Arguments of the program"},
    {"stdin", FIELD_INPUTS, FIELD_NUL, AT(stdin_data), .min = 1, .max = RUN_BATCH_MAX,
     .max_bytes = BASE64_OF(RUN_STDIN_MAX_BYTES),
     .doc = "What the program reads from its standard input; an array runs it once an element, and "
            "is answered with an array"},
    {"env", FIELD_MAP, 0, AT(env), .max = RUN_ENV_MAX, .max_bytes = RUN_ENV_MAX_BYTES,
     .doc = "Environment variables of the program"},
    {"files", FIELD_FILES, FIELD_NUL, AT(files), .max = RUN_FILES_MAX,
     .max_bytes = BASE64_OF(RUN_FILES_MAX_BYTES),
     .doc = "Files put beside the program: names and contents"},
    {"limits", FIELD_OBJECT, 0, AT(limits), .fields = limits_request,
     .doc = "What the program may use at the most"},
    {"stdin_encoding", FIELD_CHOICE, 0, AT(stdin_encoding), .choices = text_encodings,
     .doc = "How stdin is written"},
    {"files_encoding", FIELD_CHOICE, 0, AT(files_encoding), .choices = text_encodings,
     .doc = "How the contents of all files are written"},
    {"output_encoding", FIELD_CHOICE, 0, AT(output_encoding), .choices = text_encodings,
     .doc = "How stdout and stderr are to be written; with utf-8, other bytes become U+FFFD"},
    {"cold", FIELD_BOOL, 0, AT(cold),
     .doc = "true: everything is started anew, also where a runtime waits for programs"},
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
    {"cpu_time_us", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "CPU time of it and all that it started, in microseconds"},
    {"memory_peak_kb", FIELD_INTEGER, FIELD_REQUIRED,
     .doc =
         "The most memory that it and all that it started had at a time, in KiB; without a bound "
         "of memory, that the largest of its processes had"},
    {"out_of_memory", FIELD_BOOL, 0,
     .doc = "true, when memory had run out and something was killed"},
    {"timed_out", FIELD_BOOL, 0, .doc = "true, when it was killed at the timeout"},
    {"signal", FIELD_TEXT, 0, .doc = "Name of the signal that ended it, like \"SIGSEGV\""},
    {"stdout_truncated", FIELD_BOOL, 0, .doc = "true, when there was more than is returned"},
    {"stderr_truncated", FIELD_BOOL, 0, .doc = "true, when there was more than is returned"},
    {"warm", FIELD_BOOL, 0, .doc = "true, when its runtime had been started before"},
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

/* The field of one input, as errors name it. */
static void input_name(const struct field_inputs *in, size_t i, char ret[32])
{
    snprintf(ret, 32, in->is_list ? "stdin[%zu]" : "stdin", i);
}

static int decode_stdin(struct job *j, const struct field_inputs *in, struct err *e)
{
    j->stdin_bytes = calloc(in->n + 1, sizeof(*j->stdin_bytes));
    if (!j->stdin_bytes)
        return err_errno(e, -ENOMEM, "decode stdin");
    for (size_t i = 0; i < in->n; i++) {
        char field[32];
        input_name(in, i, field);
        int r = decode_base64(field, in->items[i].data, in->items[i].len, &j->stdin_bytes[i], e);
        if (r < 0)
            return r;
        j->inputs[i] = (struct run_input){buf_str(&j->stdin_bytes[i]), j->stdin_bytes[i].len};
    }
    return 0;
}

static int init_stdin(struct job *j, const struct execute_input *ei, struct err *e)
{
    const struct field_inputs *in = &ei->stdin_data;
    j->inputs = calloc(in->n + 1, sizeof(*j->inputs));
    if (!j->inputs)
        return err_errno(e, -ENOMEM, "decode stdin");
    j->n_inputs = in->n;
    j->is_batch = in->is_list;
    for (size_t i = 0; i < in->n; i++)
        j->inputs[i] = (struct run_input){in->items[i].data, in->items[i].len};
    int r = ei->stdin_encoding == TEXT_BASE64 ? decode_stdin(j, in, e) : 0;
    size_t total = 0;
    for (size_t i = 0; r == 0 && i < in->n; i++)
        total += j->inputs[i].len;
    return total > RUN_STDIN_MAX_BYTES ? too_large("stdin", RUN_STDIN_MAX_BYTES, e) : r;
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

/* The file that is the program: named as the language has it, else with its extension, else the
 * first one. */
static size_t find_program(const struct field_pairs *files, const struct language *lang)
{
    size_t extension = strlen(lang->extension), by_extension = files->n;
    for (size_t i = 0; i < files->n; i++) {
        const char *name = files->items[i].name;
        size_t len = strlen(name);
        if (strcmp(name, lang->file) == 0)
            return i;
        if (by_extension == files->n && len > extension &&
            strcmp(name + len - extension, lang->extension) == 0)
            by_extension = i;
    }
    return by_extension < files->n ? by_extension : 0;
}

/* Takes the program out of the files when there is no code. */
static int init_program(struct job *j, const struct language *lang, struct execute_input *in,
                        struct err *e)
{
    struct field_pairs *files = &in->files;
    j->run.code = in->code.data;
    j->run.code_len = in->code.len;
    if (in->code.len || (in->code.data && !files->n))
        return 0;
    if (!files->n)
        return err_field(e, "code", "either 'code' or 'files' must be provided");
    size_t i = find_program(files, lang);
    struct run_pair program = files->items[i];
    if (program.len > RUN_CODE_MAX_BYTES) {
        char field[64];
        snprintf(field, sizeof(field), "files[\"%.40s\"]", program.name);
        return too_large(field, RUN_CODE_MAX_BYTES, e);
    }
    memmove(&files->items[i], &files->items[i + 1], (files->n - i - 1) * sizeof(*files->items));
    files->n--;
    j->run.code = program.data;
    j->run.code_len = program.len;
    j->run.n_files = files->n;
    return 0;
}

static void init_limits(struct job *j, const struct limits_input *in)
{
    j->limits = (struct run_limits){
        .memory_bytes = in->memory_mb * (int64_t)MIB,
        .processes = in->processes,
        .file_bytes = in->file_size_mb * (int64_t)MIB,
        .output_bytes = in->output_kb * (int64_t)KIB,
    };
}

/* A language whose image is not here says what to do; host_run would only not find it. */
static int check_there(struct host *h, const struct language *lang, struct err *e)
{
    struct language_status status = {0};
    host_language_status(h, lang, &status);
    if (status.state != LANGUAGE_MISSING || host_remote_on_demand(h)) /* the run looks there */
        return 0;
    return err_set(e, ERR_UNAVAILABLE, "%s cannot run yet: %s", lang->name, status.detail);
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
        r = init_program(&j, lang, in, e);
    if (r == 0)
        r = check_there(rq->host, lang, e);
    if (r < 0)
        return r;
    j.run.language = lang->name;
    init_limits(&j, &in->limits);
    j.run.args = in->args.items;
    j.run.n_args = in->args.n;
    j.run.env = in->env.items;
    j.run.n_env = in->env.n;
    j.run.cold = in->cold;
    j.run.timeout_ms = (int)in->timeout_s * 1000;
    *ret = j;
    j = (struct job){0};
    return 0;
}

void job_done(struct job *j)
{
    input_done(&j->input);
    for (size_t i = 0; j->stdin_bytes && i < j->n_inputs; i++)
        buf_done(&j->stdin_bytes[i]);
    free(j->stdin_bytes);
    free(j->inputs);
    for (size_t i = 0; j->files_bytes && i < j->n_files; i++)
        buf_done(&j->files_bytes[i]);
    free(j->files_bytes);
    *j = (struct job){0};
}

size_t job_results(const struct job *j)
{
    return j->is_batch ? j->n_inputs : 1;
}

int job_run(struct host *h, struct job *j, bool as_batch, struct run_result *results, struct err *e)
{
    static const struct run_input nothing = {0};
    j->run.limits = &j->limits;
    if (j->is_batch || as_batch)
        return host_run_batch(h, &j->run, j->n_inputs ? j->inputs : &nothing, job_results(j),
                              results, e);
    j->run.stdin_data = j->n_inputs ? j->inputs[0].data : NULL;
    j->run.stdin_len = j->n_inputs ? j->inputs[0].len : 0;
    return host_run(h, &j->run, &results[0], e);
}

int job_results_new(const struct job *j, struct job_results *ret, struct err *e)
{
    ret->n = job_results(j);
    ret->items = calloc(ret->n, sizeof(*ret->items));
    return ret->items ? 0 : err_errno(e, -ENOMEM, "run");
}

void job_results_free(struct job_results *r)
{
    for (size_t i = 0; r->items && i < r->n; i++)
        run_result_done(&r->items[i]);
    free(r->items);
    *r = (struct job_results){0};
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

json_t *job_output_json(const struct buf *b, int encoding)
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

void job_add_marks(json_t *answer, const struct run_result *r)
{
    const struct {
        const char *name;
        bool applies;
    } marks[] = {
        {"out_of_memory", r->out_of_memory},
        {"timed_out", r->timed_out},
        {"warm", r->warm},
        {"stdout_truncated", r->out_truncated},
        {"stderr_truncated", r->err_truncated},
    };
    char name[16];
    if (r->signal)
        json_object_set_new(answer, "signal", json_string(job_signal_name(r->signal, name)));
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        if (marks[i].applies)
            json_object_set_new(answer, marks[i].name, json_true());
    }
}

static json_t *result_json(const struct run_result *r, int encoding)
{
    json_t *o =
        json_pack("{s:o, s:o, s:i, s:o, s:o, s:I, s:I, s:I, s:I}", "stdout",
                  job_output_json(&r->out, encoding), "stderr", job_output_json(&r->err, encoding),
                  "exit_code", r->exit_code, "load_time", duration_json(r->load_us), "exec_time",
                  duration_json(r->exec_us), "load_time_us", (json_int_t)r->load_us, "exec_time_us",
                  (json_int_t)r->exec_us, "cpu_time_us", (json_int_t)r->cpu_us, "memory_peak_kb",
                  (json_int_t)(r->memory_peak_bytes / 1024));
    job_add_marks(o, r);
    return o;
}

bool job_client_gone(void *arg)
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
    j.run.cancelled = job_client_gone;
    j.run.arg = rq;
    CLEANUP(job_results_free) struct job_results results = {0};
    r = job_results_new(&j, &results, e);
    if (r == 0)
        r = job_run(rq->host, &j, false, results.items, e);
    if (r < 0)
        return r;
    const struct execute_input *in = j.input.data;
    ret->json = j.is_batch ? json_array() : result_json(&results.items[0], in->output_encoding);
    for (size_t i = 0; j.is_batch && i < results.n; i++)
        json_array_append_new(ret->json, result_json(&results.items[i], in->output_encoding));
    return ret->json ? 0 : -ENOMEM;
}

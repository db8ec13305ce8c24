/* SPDX-License-Identifier: Apache-2.0 */

/* POST /api/v1/run: the same as execute in the words of older clients. A program that fails is a
 * success; what went wrong otherwise is its `exception`. */

#include <stddef.h>

#include "api/runner/execute.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"

#define AT(member) offsetof(struct execute_input, member)

const struct field run_request_fields[] = {
    {"language", FIELD_TEXT, FIELD_REQUIRED, AT(language),
     .doc = "Name or alias of the language, as in /api/v1/languages"},
    {"files", FIELD_FILES, FIELD_REQUIRED | FIELD_NUL, AT(files), .min = 1, .max = RUN_FILES_MAX,
     .max_bytes = BASE64_OF(RUN_FILES_MAX_BYTES),
     .doc =
         "The program and what it needs: the file named as the language's programs are, else the "
         "first with its extension, else the first"},
    {"stdin", FIELD_INPUTS, FIELD_NUL, AT(stdin_data), .min = 1, .max = RUN_BATCH_MAX,
     .max_bytes = BASE64_OF(RUN_STDIN_MAX_BYTES),
     .doc = "What the program reads from its standard input; an array runs it once an element, and "
            "is answered with an array"},
    {"timeout", FIELD_INTEGER, 0, AT(timeout_s), .min = 1, .max = RUN_TIMEOUT_MAX_S,
     .doc = "Seconds after which the program is killed; compiling it has as many of its own"},
    {"args", FIELD_TEXTS, 0, AT(args), .max = RUN_ARGS_MAX, .max_bytes = RUN_ARGS_MAX_BYTES,
     .doc = "Arguments of the program"},
    {"env", FIELD_MAP, 0, AT(env), .max = RUN_ENV_MAX, .max_bytes = RUN_ENV_MAX_BYTES,
     .doc = "Environment variables of the program"},
    {"limits", FIELD_OBJECT, 0, AT(limits), .fields = limits_request,
     .doc = "What the program may use at the most"},
    {"stdin_encoding", FIELD_CHOICE, 0, AT(stdin_encoding), .choices = text_encodings,
     .doc = "How stdin is written, here and in the answer"},
    {"files_encoding", FIELD_CHOICE, 0, AT(files_encoding), .choices = text_encodings,
     .doc = "How the contents of all files are written"},
    {"output_encoding", FIELD_CHOICE, 0, AT(output_encoding), .choices = text_encodings,
     .doc = "How stdout and stderr are to be written; with utf-8, other bytes become U+FFFD"},
    {"cold", FIELD_BOOL, 0, AT(cold),
     .doc = "true: everything is started anew, also where a runtime waits for programs"},
    {0},
};

const struct field run_response_fields[] = {
    {"status", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"success\", also when the program failed"},
    {"stdout", FIELD_TEXT, FIELD_REQUIRED, .doc = "What the program wrote to standard output"},
    {"stderr", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "What it, or the compiler, wrote to standard error; null for nothing"},
    {"exception", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,
     .doc = "\"Compilation failed\", \"Timeout\", \"Out of memory\", or null"},
    {"executionTime", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "How long it ran, in milliseconds, without compiling"},
    {"stdin", FIELD_TEXT, 0, .doc = "In the answer to a list: what it read"},
    {"exit_code", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "Of the program; 128 + signal when a signal ended it, 124 at the timeout"},
    {"cpu_time_us", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "CPU time of it and all that it started, in microseconds"},
    {"memory_peak_kb", FIELD_INTEGER, FIELD_REQUIRED,
     .doc =
         "The most memory that it and all that it started had at a time, in KiB; without a bound "
         "of memory, that the largest of its processes had"},
    {"signal", FIELD_TEXT, 0, .doc = "Name of the signal that ended it, like \"SIGSEGV\""},
    {"out_of_memory", FIELD_BOOL, 0,
     .doc = "true, when memory had run out and something was killed"},
    {"timed_out", FIELD_BOOL, 0, .doc = "true, when it was killed at the timeout"},
    {"warm", FIELD_BOOL, 0, .doc = "true, when its runtime had been started before"},
    {"stdout_truncated", FIELD_BOOL, 0, .doc = "true, when there was more than is returned"},
    {"stderr_truncated", FIELD_BOOL, 0, .doc = "true, when there was more than is returned"},
    {0},
};

static json_t *errors_json(const struct run_result *r, int encoding)
{
    return r->err.len ? job_output_json(&r->err, encoding) : json_null();
}

static json_t *exception_json(const struct run_result *r)
{
    if (r->compile_failed && !r->timed_out)
        return json_string("Compilation failed");
    if (r->timed_out)
        return json_string("Timeout");
    return r->out_of_memory ? json_string("Out of memory") : json_null();
}

static json_t *result_json(const struct run_result *r, int encoding)
{
    json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:I, s:i, s:I, s:I}", "status", "success", "stdout",
                          job_output_json(&r->out, encoding), "stderr", errors_json(r, encoding),
                          "exception", exception_json(r), "executionTime",
                          (json_int_t)((r->exec_us + 500) / 1000), "exit_code", r->exit_code,
                          "cpu_time_us", (json_int_t)r->cpu_us, "memory_peak_kb",
                          (json_int_t)(r->memory_peak_bytes / 1024));
    job_add_marks(o, r);
    return o;
}

static json_t *batch_json(const struct job *j, const struct job_results *results)
{
    const struct execute_input *in = j->input.data;
    json_t *list = json_array();
    for (size_t i = 0; i < results->n; i++) {
        const struct field_text *read = &in->stdin_data.items[i];
        json_t *o = result_json(&results->items[i], in->output_encoding);
        json_object_set_new(o, "stdin", text_json(read->data, read->len));
        json_array_append_new(list, o);
    }
    return list;
}

/* Only then it matters whether it was the compiler that failed. */
static bool is_compiled(const struct job *j)
{
    const struct language *lang = host_language_find(j->run.language);
    return lang && lang->compile;
}

int run_handle(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(job_done) struct job j = {0};
    int r = job_init(rq, &j, e);
    if (r < 0)
        return r;
    j.run.cancelled = job_client_gone;
    j.run.arg = rq;
    CLEANUP(job_results_free) struct job_results results = {0};
    r = job_results_new(&j, &results, e);
    if (r == 0)
        r = job_run(rq->host, &j, is_compiled(&j), results.items, e);
    if (r < 0)
        return r;
    const struct execute_input *in = j.input.data;
    ret->json =
        j.is_batch ? batch_json(&j, &results) : result_json(&results.items[0], in->output_encoding);
    return ret->json ? 0 : -ENOMEM;
}

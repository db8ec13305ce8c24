/* SPDX-License-Identifier: Apache-2.0 */

/* POST /v1/vms/{id}/exec: a command, its output when it has ended, as it comes, or later. */

#include "api/native/exec.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/stream.h"
#include "api/text.h"
#include "base/base64.h"
#include "base/limits.h"

/* Base64 that decodes to `n` bytes; for bounds in tables, where base64_size cannot be called. */
#define BASE64_OF(n) (((n) + 2) / 3 * 4)

struct exec_input {
    struct field_texts command;
    double timeout_s;
    struct field_text stdin_data, cwd, user;
    struct field_pairs env;
    bool background;
};

#define AT(member) offsetof(struct exec_input, member)

static const struct field exec_request[] = {
    {"command", FIELD_TEXTS, FIELD_REQUIRED, AT(command), .min = 1, .max = AGENT_EXEC_ARGS_MAX,
     .max_bytes = EXEC_ARGS_MAX_BYTES,
     .doc = "The program and its arguments; the first is searched in PATH"},
    {"timeoutSec", FIELD_NUMBER, 0, AT(timeout_s), .min = 0, .max = EXEC_TIMEOUT_MAX_MS / 1000,
     .doc = "Seconds after which it and its children are killed; none when missing or 0"},
    {"stdin", FIELD_TEXT, 0, AT(stdin_data), .max_bytes = BASE64_OF(EXEC_STDIN_MAX_BYTES),
     .doc = "Its standard input, in base64"},
    {"cwd", FIELD_TEXT, 0, AT(cwd), .min = 1, .max_bytes = AGENT_PATH_MAX_BYTES,
     .doc = "Its directory; the user's home when missing"},
    {"env", FIELD_MAP, 0, AT(env), .doc = "Added to the VM's envVars"},
    {"user", FIELD_TEXT, 0, AT(user), .min = 1, .max_bytes = 256,
     .doc = "A user's name, or \"uid:gid\"; root when missing"},
    {"background", FIELD_BOOL, 0, AT(background), .doc = "It runs on by itself"},
    {0},
};

/* ---- from the request ---- */

void command_done(struct command *c)
{
    input_done(&c->input);
    buf_done(&c->stdin_bytes);
}

static int decode_stdin(const struct exec_input *in, struct buf *ret, struct err *e)
{
    if (!in->stdin_data.len)
        return 0;
    int r = base64_decode(in->stdin_data.data, in->stdin_data.len, ret);
    if (r == -EINVAL)
        return err_field(e, "stdin", "field \"stdin\" is not base64");
    return r < 0 ? err_errno(e, r, "decode stdin") : 0;
}

static int check(const struct exec_input *in, struct err *e)
{
    if (!in->command.items[0][0])
        return err_field(e, "command[0]", "field \"command[0]\" must not be empty");
    if (in->cwd.data && in->cwd.data[0] != '/')
        return err_field(e, "cwd", "field \"cwd\" must be an absolute path");
    return in->env.object ? native_check_env("env", in->env.object, e) : 0;
}

/* Takes rq->input. On failure `ret` is empty. */
static int command_init(struct request *rq, struct command *ret, struct err *e)
{
    CLEANUP(command_done) struct command c = {.host = rq->host};
    const struct exec_input *in = rq->input.data;
    int r = native_vm(rq, c.vm, e);
    if (r == 0)
        r = check(in, e);
    if (r == 0)
        r = decode_stdin(in, &c.stdin_bytes, e);
    if (r < 0)
        return r;
    memcpy(c.account, rq->account, sizeof(c.account));
    c.exec = (struct vm_exec){
        .argv = in->command.items,
        .n_argv = in->command.n,
        .cwd = in->cwd.data,
        .user = in->user.data,
        .env = in->env.object,
        .stdin_data = c.stdin_bytes.data,
        .stdin_len = c.stdin_bytes.len,
        .timeout_ms = native_round_up(in->timeout_s * 1000),
    };
    c.input = rq->input;
    rq->input = (struct input){0};
    *ret = c;
    c = (struct command){0};
    return 0;
}

int command_exit_code(const struct exec_exit *x)
{
    return x->timed_out ? 124 : x->code;
}

/* ---- the answer at the end ---- */

struct collector {
    struct buf out[2];
    bool truncated[2];
    int client_fd;
};

static int collect(void *arg, int stream, const void *data, size_t len)
{
    struct collector *c = arg;
    struct buf *b = &c->out[stream == 2];
    size_t room = EXEC_OUTPUT_MAX_BYTES - b->len;
    if (len > room)
        c->truncated[stream == 2] = true;
    return buf_append(b, data, len < room ? len : room);
}

static bool client_left(void *arg)
{
    const struct collector *c = arg;
    return request_fd_hung_up(c->client_fd);
}

static void collector_done(struct collector *c)
{
    buf_done(&c->out[0]);
    buf_done(&c->out[1]);
}

static int run_buffered(struct command *c, struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(collector_done) struct collector col = {.client_fd = rq->fd};
    struct exec_exit x = {0};
    c->exec.output = collect;
    c->exec.cancelled = client_left;
    c->exec.arg = &col;
    int r = host_vm_exec(c->host, c->account, c->vm, &c->exec, &x, e);
    if (r < 0)
        return r;
    ret->json = json_pack("{s:i, s:o, s:o, s:b, s:b, s:b, s:I}", "exitCode", command_exit_code(&x),
                          "stdout", text_json(buf_str(&col.out[0]), col.out[0].len), "stderr",
                          text_json(buf_str(&col.out[1]), col.out[1].len), "timedOut", x.timed_out,
                          "stdoutTruncated", col.truncated[0], "stderrTruncated", col.truncated[1],
                          "durationMs", (json_int_t)(x.wall_us + 500) / 1000);
    return ret->json ? 0 : -ENOMEM;
}

/* ---- the answer as it comes ---- */

json_t *command_exit_event(const struct exec_exit *x)
{
    json_t *o = json_pack("{s:s, s:I}", "t", "x", "ms", (json_int_t)(x->wall_us + 500) / 1000);
    if (command_exit_code(x))
        json_object_set_new(o, "c", json_integer(command_exit_code(x)));
    if (x->timed_out)
        json_object_set_new(o, "to", json_true());
    return o;
}

/* Clients wait for an x. 126 is what a shell says of what it cannot run. */
json_t *command_error_event(const struct err *e)
{
    return json_pack("{s:s, s:i, s:i, s:o}", "t", "x", "c", 126, "ms", 0, "d",
                     text_json(e->text, strlen(e->text)));
}

int command_write_output(struct stream *s, int stream, int64_t offset, const struct run_pair *data)
{
    auto_buf struct buf line = {0};
    buf_printf(&line, "{\"t\":\"%c\",\"d\":\"", stream == 2 ? 'e' : 'o');
    base64_encode(data->data, data->len, &line);
    buf_append_str(&line, "\"");
    if (offset >= 0)
        buf_printf(&line, ",\"off\":%lld", (long long)offset);
    buf_append_str(&line, "}\n");
    return line.failed ? -ENOMEM : stream_write(s, line.data, line.len);
}

static int write_output(void *arg, int stream, const void *data, size_t len)
{
    return command_write_output(arg, stream, -1, &(struct run_pair){.data = data, .len = len});
}

static int run_streamed(struct stream *s, void *arg, struct err *e)
{
    struct command *c = arg;
    struct exec_exit x = {0};
    c->exec.output = write_output;
    c->exec.cancelled = stream_cancelled;
    c->exec.arg = s;
    int r = host_vm_exec(c->host, c->account, c->vm, &c->exec, &x, e);
    return r < 0 ? r : stream_write_json(s, command_exit_event(&x));
}

static void free_command(void *arg)
{
    command_done(arg);
    free(arg);
}

static int start_stream(struct command *c, struct request *rq, struct answer *ret, struct err *e)
{
    struct command *moved = malloc(sizeof(*moved));
    if (!moved)
        return err_errno(e, -ENOMEM, "run the command");
    *moved = *c;
    *c = (struct command){0};
    const struct stream_job job = {
        .run = run_streamed,
        .error_line = command_error_event,
        .free = free_command,
        .arg = moved,
    };
    return stream_start(rq, &job, ret, e);
}

/* ---- later ---- */

static int start_background(struct command *c, struct answer *ret, struct err *e)
{
    char job[ID_SIZE];
    int r = host_vm_job_start(c->host, c->account, c->vm, &c->exec, job, e);
    if (r < 0)
        return r;
    ret->status = 202;
    ret->json = json_pack("{s:o}", "execId", native_id_json(job));
    return ret->json ? 0 : -ENOMEM;
}

static int exec(struct request *rq, struct answer *ret, struct err *e)
{
    CLEANUP(command_done) struct command c = {0};
    int r = command_init(rq, &c, e);
    if (r < 0)
        return r;
    const struct exec_input *in = c.input.data;
    if (in->background)
        return start_background(&c, ret, e);
    if (request_accepts(rq, "application/x-ndjson"))
        return start_stream(&c, rq, ret, e);
    return run_buffered(&c, rq, ret, e);
}

/* ---- the row ---- */

static const struct field exec_response[] = {
    {"exitCode", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "128 + signal when a signal ended it, 124 at the timeout"},
    {"stdout", FIELD_TEXT, FIELD_REQUIRED, .doc = "What is not UTF-8 became U+FFFD"},
    {"stderr", FIELD_TEXT, FIELD_REQUIRED, .doc = "Likewise"},
    {"timedOut", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether timeoutSec ended it"},
    {"stdoutTruncated", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether there was more than 4 MiB"},
    {"stderrTruncated", FIELD_BOOL, FIELD_REQUIRED, .doc = "Likewise"},
    {"durationMs", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How long it ran"},
    {0},
};

static const struct field background_response[] = {
    {"execId", FIELD_TEXT, FIELD_REQUIRED, .doc = "To ask for it by"},
    {0},
};

static const struct route_success exec_others[] = {
    {202, background_response, .doc = "It runs in the background"},
    {0},
};

const struct route native_exec_routes[] = {
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/exec", "execInVm"),
        .handler = exec,
        .request = exec_request,
        .input_bytes = sizeof(struct exec_input),
        .response = exec_response,
        .others = exec_others,
        .flags = ROUTE_ACCOUNT | ROUTE_STREAMS,
        .doc = "Run a command",
    },
    {0},
};

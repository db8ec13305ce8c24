/* SPDX-License-Identifier: Apache-2.0 */

/* POST /v1/vms/{id}/exec: a shell command, its output when it has ended. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/rds/command.h"
#include "api/rds/rds.h"
#include "base/limits.h"
#include "host/config.h"
#include "host/host.h"

/* Linux takes no argument of more than 128 KiB; a longer command comes through standard input. */
#define ARGUMENT_MAX_BYTES (96 * KIB)

struct exec_input {
    struct field_text cmd, cwd;
    struct field_pairs env;
    double timeout_ms;
};

#define AT(member) offsetof(struct exec_input, member)

static const struct field exec_request[] = {
    {"cmd", FIELD_TEXT, FIELD_REQUIRED, AT(cmd), .min = 1, .max_bytes = RDS_CMD_MAX_BYTES,
     .doc = "For bash -lc, or sh -lc in an image that has no bash"},
    {"cwd", FIELD_TEXT, 0, AT(cwd), .max_bytes = AGENT_PATH_MAX_BYTES,
     .doc = "Its directory, anywhere; /workspace when missing, which it may be relative to"},
    {"env", FIELD_MAP, 0, AT(env), .max = RUN_ENV_MAX, .max_bytes = RUN_ENV_MAX_BYTES,
     .doc = "More environment"},
    {"timeoutMs", FIELD_NUMBER, 0, AT(timeout_ms), .min = 1, .max = RDS_TIMEOUT_TOP_MS,
     .doc = "After so long it is ended, with exit code -1; 30000 when missing"},
    {0},
};

/* A login shell has a PATH of its own: one that the client gives is set once more. */
static int make_text(const struct exec_input *in, const char *cmd, struct buf *ret)
{
    const char *path = json_string_value(json_object_get(in->env.object, "PATH"));
    if (path)
        buf_append_str(ret, "PATH='");
    for (; path && *path; path++)
        buf_append_str(ret, *path == '\'' ? "'\\''" : (char[]){*path, '\0'});
    if (path)
        buf_append_str(ret, "'; ");
    return buf_append_str(ret, cmd);
}

static int exec(struct request *rq, struct answer *ret, struct err *e)
{
    const struct exec_input *in = rq->input.data;
    auto_buf struct buf text = {0};
    int r = make_text(in, in->cmd.data, &text);
    bool is_long = text.len > ARGUMENT_MAX_BYTES;
    if (r == 0 && is_long) {
        buf_clear(&text);
        r = make_text(in, "eval \"$(command -p cat)\"", &text);
    }
    if (r < 0)
        return r;
    /* "--": a command that begins with "-" is no option of the shell's. */
    const char *argv[] = {"bash", "-lc", "--", buf_str(&text)};
    struct rds_command c = {
        .argv = argv,
        .n_argv = ARRAY_SIZE(argv),
        .fallback = "sh",
        .cwd = in->cwd.data,
        .env = in->env.object,
        .stdin_data = is_long ? in->cmd.data : NULL,
        .stdin_len = is_long ? in->cmd.len : 0,
    };
    CLEANUP(rds_output_done) struct rds_output out = {0};
    r = rds_timeout(in->timeout_ms, host_config(rq->host)->rds_exec_timeout_max_ms,
                    "maxExecTimeoutMs", &c.timeout_ms, e);
    for (size_t i = 0; r == 0 && i < in->env.n; i++)
        r = rds_check_env_name(in->env.items[i].name, e);
    if (r == 0)
        r = rds_command_run(rq, &c, "exec", &out, e);
    if (r < 0)
        return r;
    ret->json = rds_output_json(&out);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field exec_response[] = {
    {"exitCode", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "128 + signal when a signal ended it, -1 at the timeout"},
    {"stdout", FIELD_TEXT, FIELD_REQUIRED,
     .doc = "At most 1 MiB; bytes that are not UTF-8 become U+FFFD"},
    {"stderr", FIELD_TEXT, FIELD_REQUIRED, .doc = "Likewise"},
    {0},
};

const struct route rds_exec_routes[] = {
    {
        RDS_ROW(POST, "/rds/v1/vms/{id}/exec", "rdsExec"),
        .handler = exec,
        .request = exec_request,
        .input_bytes = sizeof(struct exec_input),
        .response = exec_response,
        .rate_per_min = 60,
        .flags = ROUTE_ACCOUNT,
        .doc = "Run a shell command as uid 1000",
    },
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */

/* POST /v1/vms/{id}/run-ts: a TypeScript program, by Deno.
 *
 * One command and nothing besides: the code comes through standard input, what makes `result` is an
 * argument (ts_report.h). So nothing has to be removed afterwards, whatever ended it; the program
 * is Deno's main module, as with a plain `deno run`, and Deno's caches work as there. */

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/rds/command.h"
#include "api/rds/policy.h"
#include "api/rds/rds.h"
#include "api/rds/ts_report.h"
#include "base/limits.h"
#include "host/config.h"
#include "host/host.h"

struct run_ts_input {
    struct field_text code, path;
    struct field_texts args, env, flags;
    double timeout_ms;
};

#define AT(member) offsetof(struct run_ts_input, member)

static const struct field run_ts_request[] = {
    {"code", FIELD_TEXT, FIELD_NUL, AT(code), .max_bytes = RDS_CODE_MAX_BYTES,
     .doc = "The program; or path"},
    {"path", FIELD_TEXT, 0, AT(path), .min = 1, .max_bytes = AGENT_PATH_MAX_BYTES,
     .doc = "Its file in /workspace; may be relative to that"},
    {"args", FIELD_TEXTS, 0, AT(args), .max = RUN_ARGS_MAX, .max_bytes = RUN_ARGS_MAX_BYTES,
     .doc = "Deno.args"},
    {"env", FIELD_TEXTS, 0, AT(env), .max = RUN_ENV_MAX, .max_bytes = RUN_ENV_MAX_BYTES,
     .doc = "\"KEY=value\": set, and what the program may read of its environment"},
    {"denoFlags", FIELD_TEXTS, 0, AT(flags), .max = RDS_DENO_FLAGS_MAX,
     .max_bytes = RUN_ARGS_MAX_BYTES, .doc = "More flags for deno run"},
    {"timeoutMs", FIELD_NUMBER, 0, AT(timeout_ms), .min = 1, .max = RDS_TIMEOUT_TOP_MS,
     .doc = "After so long it is ended, with exit code -1; 30000 when missing"},
    {0},
};

/* ---- the environment ---- */

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    }
    return n && !isdigit((unsigned char)s[0]);
}

/* "KEY=value" entries as an object, and their keys for a flag. */
static int parse_env(const struct field_texts *given, json_t *env, struct buf *keys, struct err *e)
{
    for (size_t i = 0; i < given->n; i++) {
        const char *entry = given->items[i], *eq = strchr(entry, '=');
        if (!eq || !is_name(entry, (size_t)(eq - entry)))
            return err_field(e, "env", "Invalid env entry (expected KEY=value): %.60s", entry);
        buf_append_str(keys, keys->len ? "," : "--allow-env=");
        buf_append(keys, entry, (size_t)(eq - entry));
        if (keys->failed ||
            json_object_setn_new(env, entry, (size_t)(eq - entry), json_string(eq + 1)) < 0)
            return err_errno(e, -ENOMEM, "env");
    }
    return 0;
}

/* ---- the command line ---- */

struct line {
    const char *argv[RUN_ARGS_MAX + RDS_DENO_FLAGS_MAX + 16];
    size_t n;
};

static void add(struct line *l, const char *word)
{
    l->argv[l->n++] = word;
}

/* Whether the client gives a permission as a whole: then ours, which is narrower and would win, or
 * be in conflict with it, is left out. */
static bool is_given(const struct field_texts *flags, const char *whole, const char *letter)
{
    static const char *const everything[] = {"--allow-all", "-A"};
    for (size_t i = 0; i < flags->n; i++) {
        const char *f = flags->items[i];
        if (strcmp(f, whole) == 0 || strcmp(f, letter) == 0 || strcmp(f, everything[0]) == 0 ||
            strcmp(f, everything[1]) == 0)
            return true;
    }
    return false;
}

static void add_permissions(struct line *l, const struct field_texts *flags, const char *env,
                            bool net)
{
    if (!is_given(flags, "--allow-read", "-R"))
        add(l, "--allow-read=/workspace,/tmp");
    if (!is_given(flags, "--allow-write", "-W"))
        add(l, "--allow-write=/workspace,/tmp");
    if (*env && !is_given(flags, "--allow-env", "-E"))
        add(l, env);
    if (net && !is_given(flags, "--allow-net", "-N"))
        add(l, "--allow-net");
}

struct program {
    struct ts_report report;
    struct rds_output output;
    struct buf preload, env_flag;
    json_t *env;
    char path[AGENT_PATH_MAX_BYTES + 1], dir[AGENT_PATH_MAX_BYTES + 1];
};

static void program_done(struct program *p)
{
    ts_report_done(&p->report);
    rds_output_done(&p->output);
    buf_done(&p->preload);
    buf_done(&p->env_flag);
    json_decref(p->env);
}

/* A program in a file runs in its directory. */
static int find_file(const struct run_ts_input *in, struct program *p, struct err *e)
{
    if (!in->path.data) {
        strcpy(p->path, "-");
        strcpy(p->dir, RDS_WORKSPACE);
        return 0;
    }
    int r = rds_path(in->path.data, "path", p->path, e);
    if (r < 0)
        return r;
    if (!rds_path_is_inside(p->path) || !p->path[strlen(RDS_WORKSPACE)])
        return err_field(e, "path", "path must be of a file in " RDS_WORKSPACE);
    strcpy(p->dir, p->path);
    *strrchr(p->dir, '/') = '\0';
    return 0;
}

static int prepare(const struct run_ts_input *in, struct program *p, struct err *e)
{
    if (!in->code.data == !in->path.data)
        return err_field(e, "code", "give either code or path");
    p->env = json_pack("{s:s, s:s, s:s}", "DENO_DIR", RDS_WORKSPACE "/.deno", "NO_COLOR", "1",
                       "DENO_NO_UPDATE_CHECK", "1");
    ts_report_init(&p->report, &p->output.err);
    int r = find_file(in, p, e);
    if (r == 0)
        r = parse_env(&in->env, p->env, &p->env_flag, e);
    if (r < 0)
        return r;
    buf_append_str(&p->preload, "--preload=");
    r = ts_report_preload(&p->report, &p->preload);
    return r < 0 ? err_errno(e, r, "run-ts") : 0;
}

static void make_line(const struct run_ts_input *in, const struct program *p, bool net,
                      struct line *ret)
{
    static const char *const first[] = {"deno", "run", "--quiet", "--no-prompt"};
    *ret = (struct line){0};
    for (size_t i = 0; i < ARRAY_SIZE(first); i++)
        add(ret, first[i]);
    add_permissions(ret, &in->flags, buf_str(&p->env_flag), net);
    for (size_t i = 0; i < in->flags.n; i++)
        add(ret, in->flags.items[i]);
    add(ret, buf_str(&p->preload));
    add(ret, p->path);
    for (size_t i = 0; i < in->args.n; i++)
        add(ret, in->args.items[i]);
}

static int has_internet(struct request *rq, bool *ret, struct err *e)
{
    char vm[ID_SIZE];
    struct vm_info v = {0};
    int r = rds_id(rq, 0, RDS_VM, vm, e);
    if (r == 0)
        r = rds_failed(host_vm_get(rq->host, rq->account, vm, &v, e), RDS_VM, e);
    if (r < 0)
        return r;
    *ret = rds_policy_internet(v.firewall);
    vm_info_done(&v);
    return 0;
}

static int run(struct request *rq, struct program *p, int64_t timeout_ms, struct err *e)
{
    const struct run_ts_input *in = rq->input.data;
    struct line line;
    bool net = false;
    int r = has_internet(rq, &net, e);
    if (r < 0)
        return r;
    make_line(in, p, net, &line);
    const struct rds_command c = {
        .argv = line.argv,
        .n_argv = line.n,
        .cwd = p->dir,
        .env = p->env,
        .stdin_data = in->code.data,
        .stdin_len = in->code.len,
        .timeout_ms = timeout_ms,
        .on_stderr = ts_report_take,
        .arg = &p->report,
    };
    r = rds_command_run(rq, &c, "run-ts", &p->output, e);
    return r < 0 ? r : ts_report_end(&p->report);
}

static int run_ts(struct request *rq, struct answer *ret, struct err *e)
{
    const struct run_ts_input *in = rq->input.data;
    CLEANUP(program_done) struct program p = {0};
    int64_t timeout_ms;
    int r = rds_timeout(in->timeout_ms, host_config(rq->host)->rds_run_ts_timeout_max_ms,
                        "maxRunTsTimeoutMs", &timeout_ms, e);
    if (r == 0)
        r = prepare(in, &p, e);
    if (r == 0)
        r = run(rq, &p, timeout_ms, e);
    if (r < 0)
        return r;
    json_t *json = rds_output_json(&p.output);
    ret->content_type = "application/json";
    r = json ? ts_report_answer(&p.report, json, &ret->body) : -ENOMEM;
    json_decref(json);
    return r;
}

static const struct field run_ts_response[] = {
    {"exitCode", FIELD_INTEGER, FIELD_REQUIRED,
     .doc = "128 + signal when a signal ended it, -1 at the timeout"},
    {"stdout", FIELD_TEXT, FIELD_REQUIRED, .doc = "At most 1 MiB"},
    {"stderr", FIELD_TEXT, FIELD_REQUIRED, .doc = "Likewise"},
    {"result", FIELD_JSON, 0, .doc = "What result.set was given last"},
    {"error", FIELD_JSON, 0,
     .doc = "What result.error was given, or the error that nobody caught: {name, message, stack}"},
    {0},
};

const struct route rds_run_ts_routes[] = {
    {
        RDS_ROW(POST, "/rds/v1/vms/{id}/run-ts", "rdsRunTs"),
        .handler = run_ts,
        .request = run_ts_request,
        .input_bytes = sizeof(struct run_ts_input),
        .response = run_ts_response,
        .rate_per_min = 60,
        .flags = ROUTE_ACCOUNT,
        .doc = "Run a TypeScript program with Deno as uid 1000",
    },
    {0},
};

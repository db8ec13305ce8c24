/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/exec_spec.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "wire/field.h"
#include "wire/frame.h"

static const struct field_range id_range = {0, UINT32_MAX - 1}; /* -1 means "no change" to Linux */
static const struct field_range count_range = {0, INT64_MAX};

static void strv_free(char **v)
{
    for (size_t i = 0; v && v[i]; i++)
        free(v[i]);
    free(v);
}
DEFINE_AUTO(char **, strv_free)

void exec_spec_done(struct exec_spec *spec)
{
    strv_free(spec->argv);
    strv_free(spec->env);
    free(spec->cwd);
    free(spec->user);
    free(spec->job);
    free(spec->warm);
    *spec = (struct exec_spec){0};
}

static int dump(json_t *obj, struct buf *out)
{
    auto_free char *text = json_dumps(obj, JSON_COMPACT);
    return text ? buf_append_str(out, text) : -ENOMEM;
}

static int encode_argv(char *const *argv, json_t *ret, struct err *e)
{
    for (size_t i = 0; argv[i]; i++)
        if (json_array_append_new(ret, json_string(argv[i])) < 0)
            return err_field(e, "argv", "argv[%zu] is not UTF-8", i);
    return 0;
}

static int encode_env(char *const *env, json_t *ret, struct err *e)
{
    for (size_t i = 0; env && env[i]; i++) {
        const char *eq = strchr(env[i], '=');
        if (!eq || eq == env[i])
            return err_field(e, "env", "env[%zu] has no name", i);
        auto_free char *name = strndup(env[i], (size_t)(eq - env[i]));
        if (!name)
            return err_errno(e, -ENOMEM, "encode the environment");
        if (json_object_set_new(ret, name, json_string(eq + 1)) < 0)
            return err_field(e, "env", "env[%zu] is not UTF-8", i);
    }
    return 0;
}

/* Who runs it and where: members that are missing mean something else than any value. */
static int encode_place(const struct exec_spec *spec, json_t *obj, struct err *e)
{
    const char *cwd = spec->cwd || spec->login ? spec->cwd : "/";
    if (cwd && json_object_set_new(obj, "cwd", json_string(cwd)) < 0)
        return err_field(e, "cwd", "cwd is not UTF-8");
    if (spec->user)
        return json_object_set_new(obj, "user", json_string(spec->user)) < 0
                   ? err_field(e, "user", "user is not UTF-8")
                   : 0;
    if (json_object_set_new(obj, "uid", json_integer(spec->uid)) < 0 ||
        json_object_set_new(obj, "gid", json_integer(spec->gid)) < 0)
        return err_errno(e, -ENOMEM, "encode the spec");
    return 0;
}

static int encode_manner(const struct exec_spec *spec, json_t *obj, struct err *e)
{
    bool failed =
        json_object_set_new(obj, "timeout_ms", json_integer(spec->timeout_ms)) < 0 ||
        json_object_set_new(obj, "stdin", json_boolean(spec->has_stdin)) < 0 ||
        (spec->login && json_object_set_new(obj, "login", json_true()) < 0) ||
        (spec->pty_rows && json_object_set_new(obj, "pty",
                                               json_pack("{s:i,s:i}", "rows", spec->pty_rows,
                                                         "cols", spec->pty_cols)) < 0);
    if (failed)
        return err_errno(e, -ENOMEM, "encode the spec");
    if (spec->job && json_object_set_new(obj, "job", json_string(spec->job)) < 0)
        return err_field(e, "job", "job is not UTF-8");
    if (spec->warm && json_object_set_new(obj, "warm", json_string(spec->warm)) < 0)
        return err_field(e, "warm", "warm is not UTF-8");
    if (spec->alone && json_object_set_new(obj, "alone", json_true()) < 0)
        return err_errno(e, -ENOMEM, "encode the spec");
    return 0;
}

/* The bounds as rows: for both directions. */
static const struct {
    const char *name;
    size_t offset;
} limit_rows[] = {
    {"memory_bytes", offsetof(struct exec_limits, memory_bytes)},
    {"processes", offsetof(struct exec_limits, processes)},
    {"file_bytes", offsetof(struct exec_limits, file_bytes)},
    {"output_bytes", offsetof(struct exec_limits, output_bytes)},
};

static int encode_limits(const struct exec_spec *spec, json_t *obj, struct err *e)
{
    auto_json json_t *limits = json_object();
    bool failed = !limits;
    for (size_t i = 0; i < ARRAY_SIZE(limit_rows); i++) {
        int64_t n;
        memcpy(&n, (const char *)&spec->limits + limit_rows[i].offset, sizeof(n));
        failed |= n && json_object_set_new(limits, limit_rows[i].name, json_integer(n)) < 0;
    }
    failed |= json_object_size(limits) && json_object_set(obj, "limits", limits) < 0;
    failed |= spec->kill_rest && json_object_set_new(obj, "kill_rest", json_true()) < 0;
    return failed ? err_errno(e, -ENOMEM, "encode the spec") : 0;
}

int exec_spec_encode(const struct exec_spec *spec, struct buf *out, struct err *e)
{
    auto_json json_t *obj = json_object();
    json_t *argv = json_array(), *env = json_object();
    if (json_object_set_new(obj, "argv", argv) < 0 || json_object_set_new(obj, "env", env) < 0)
        return err_errno(e, -ENOMEM, "encode the spec");
    int r = encode_argv(spec->argv, argv, e);
    r = r < 0 ? r : encode_env(spec->env, env, e);
    r = r < 0 ? r : encode_place(spec, obj, e);
    r = r < 0 ? r : encode_manner(spec, obj, e);
    r = r < 0 ? r : encode_limits(spec, obj, e);
    if (r < 0)
        return r;
    r = dump(obj, out);
    return r < 0 ? err_errno(e, r, "encode the spec") : 0;
}

static int decode_argv(json_t *obj, const struct exec_spec *spec, char ***ret, struct err *e)
{
    const bool may_be_empty = spec->login || spec->warm;
    json_t *list = json_object_get(obj, "argv");
    if (!json_is_array(list))
        return err_field(e, "argv", "argv must be a list of strings");
    size_t n = json_array_size(list);
    if ((n == 0 && !may_be_empty) || n > AGENT_EXEC_ARGS_MAX)
        return err_field(e, "argv", "argv must have 1 to %d strings", AGENT_EXEC_ARGS_MAX);
    CLEANUP(strv_freep) char **v = calloc(n + 1, sizeof(*v));
    for (size_t i = 0; v && i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s)
            return err_field(e, "argv", "argv[%zu] must be a string", i);
        if (!(v[i] = strdup(s)))
            return err_errno(e, -ENOMEM, "argv");
    }
    if (!v)
        return err_errno(e, -ENOMEM, "argv");
    if (n && v[0][0] == '\0' && !spec->warm)
        return err_field(e, "argv", "argv[0] must not be empty");
    *ret = TAKE_PTR(v);
    return 0;
}

static int decode_variable(const char *name, json_t *value, char **ret, struct err *e)
{
    if (name[0] == '\0' || strchr(name, '='))
        return err_field(e, "env", "\"%.64s\" is no name of a variable", name);
    if (!json_is_string(value))
        return err_field(e, "env", "env \"%.64s\" must be a string", name);
    auto_buf struct buf b = {0};
    buf_append_str(&b, name);
    buf_append_str(&b, "=");
    buf_append_str(&b, json_string_value(value));
    if (b.failed)
        return err_errno(e, -ENOMEM, "env");
    *ret = buf_take(&b);
    return 0;
}

static int decode_env(json_t *obj, char ***ret, struct err *e)
{
    json_t *map = json_object_get(obj, "env");
    if (map && !json_is_object(map))
        return err_field(e, "env", "env must be an object of strings");
    size_t n = json_object_size(map), i = 0;
    if (n > AGENT_EXEC_ARGS_MAX)
        return err_field(e, "env", "env has more than %d variables", AGENT_EXEC_ARGS_MAX);
    CLEANUP(strv_freep) char **v = calloc(n + 1, sizeof(*v));
    if (!v)
        return err_errno(e, -ENOMEM, "env");
    const char *name;
    json_t *value;
    json_object_foreach(map, name, value)
    {
        int r = decode_variable(name, value, &v[i], e);
        if (r < 0)
            return r;
        i++;
    }
    *ret = TAKE_PTR(v);
    return 0;
}

/* Copies an optional string; *ret stays NULL when it is missing. */
static int copy_str(json_t *obj, const char *name, size_t max_bytes, char **ret, struct err *e)
{
    const char *s = NULL;
    int r = field_str(obj, name, FIELD_OPTIONAL, max_bytes, &s, e);
    if (r < 0 || !s)
        return r;
    *ret = strdup(s);
    return *ret ? 0 : err_errno(e, -ENOMEM, "%s", name);
}

static int decode_user(json_t *obj, struct exec_spec *ret, struct err *e)
{
    int64_t uid = 0, gid = 0;
    int r = field_int(obj, "uid", FIELD_OPTIONAL, id_range, &uid, e);
    r = r < 0 ? r : field_int(obj, "gid", FIELD_OPTIONAL, id_range, &gid, e);
    r = r < 0 ? r : copy_str(obj, "user", AGENT_USER_MAX_BYTES, &ret->user, e);
    if (r < 0)
        return r;
    if (ret->user && (json_object_get(obj, "uid") || json_object_get(obj, "gid")))
        return err_field(e, "user", "user stands instead of uid and gid");
    if (ret->user && (!ret->user[0] || strpbrk(ret->user, "/\n")))
        return err_field(e, "user", "user is no name of a user");
    ret->uid = (uint32_t)uid;
    ret->gid = (uint32_t)gid;
    return 0;
}

static int decode_pty(json_t *obj, struct exec_spec *ret, struct err *e)
{
    static const char *const names[] = {"rows", "cols", NULL};
    static const struct field_range size_range = {1, FRAME_RESIZE_MAX};
    json_t *pty = json_object_get(obj, "pty");
    int64_t rows = 0, cols = 0;
    if (!pty)
        return 0;
    if (!json_is_object(pty))
        return err_field(e, "pty", "pty must be an object");
    int r = field_only(pty, names, e);
    r = r < 0 ? r : field_int(pty, "rows", FIELD_REQUIRED, size_range, &rows, e);
    r = r < 0 ? r : field_int(pty, "cols", FIELD_REQUIRED, size_range, &cols, e);
    ret->pty_rows = (int)rows;
    ret->pty_cols = (int)cols;
    return r;
}

bool exec_job_id_is_valid(const char *id)
{
    size_t len = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");
    return len > 0 && len <= EXEC_JOB_ID_MAX_BYTES && id[len] == '\0';
}

/* Who it is, and that it has no terminal, was decided when it was started. */
static int decode_warm(json_t *obj, struct exec_spec *ret, struct err *e)
{
    int r = copy_str(obj, "warm", EXEC_JOB_ID_MAX_BYTES, &ret->warm, e);
    r = r < 0 ? r : field_bool(obj, "alone", FIELD_OPTIONAL, &ret->alone, e);
    if (r < 0 || !ret->warm)
        return r;
    if (!exec_job_id_is_valid(ret->warm))
        return err_field(e, "warm", "warm must be 1 to %d characters of 0-9a-z",
                         EXEC_JOB_ID_MAX_BYTES);
    if (ret->job || ret->pty_rows || ret->login || json_object_get(obj, "user"))
        return err_field(e, "warm",
                         "a waiting program is no job, and has no terminal, login or user");
    return 0;
}

static int decode_manner(json_t *obj, struct exec_spec *ret, struct err *e)
{
    static const struct field_range timeout_range = {0, EXEC_TIMEOUT_MAX_MS};
    ret->has_stdin = true;
    int r = field_int(obj, "timeout_ms", FIELD_OPTIONAL, timeout_range, &ret->timeout_ms, e);
    r = r < 0 ? r : field_bool(obj, "stdin", FIELD_OPTIONAL, &ret->has_stdin, e);
    r = r < 0 ? r : field_bool(obj, "login", FIELD_OPTIONAL, &ret->login, e);
    r = r < 0 ? r : decode_pty(obj, ret, e);
    r = r < 0 ? r : copy_str(obj, "job", EXEC_JOB_ID_MAX_BYTES, &ret->job, e);
    if (r < 0)
        return r;
    if (ret->job && !exec_job_id_is_valid(ret->job))
        return err_field(e, "job", "job must be 1 to %d characters of 0-9a-z",
                         EXEC_JOB_ID_MAX_BYTES);
    if (ret->job && ret->pty_rows)
        return err_field(e, "pty", "a job has no terminal");
    return decode_warm(obj, ret, e);
}

static int decode_limits(json_t *obj, struct exec_spec *ret, struct err *e)
{
    static const struct field_range range = {0, EXEC_LIMIT_MAX};
    static const char *const names[] = {"memory_bytes", "processes", "file_bytes", "output_bytes",
                                        NULL};
    json_t *limits = json_object_get(obj, "limits");
    int r = field_bool(obj, "kill_rest", FIELD_OPTIONAL, &ret->kill_rest, e);
    if (r < 0 || !limits)
        return r;
    if (!json_is_object(limits))
        return err_field(e, "limits", "limits must be an object");
    r = field_only(limits, names, e);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(limit_rows); i++) {
        int64_t n = 0;
        r = field_int(limits, limit_rows[i].name, FIELD_OPTIONAL, range, &n, e);
        memcpy((char *)&ret->limits + limit_rows[i].offset, &n, sizeof(n));
    }
    return r;
}

static int decode_cwd(json_t *obj, struct exec_spec *ret, struct err *e)
{
    int r = copy_str(obj, "cwd", AGENT_PATH_MAX_BYTES - 1, &ret->cwd, e);
    if (r < 0)
        return r;
    if (ret->cwd && ret->cwd[0] != '/')
        return err_field(e, "cwd", "cwd must be an absolute path");
    if (!ret->cwd && !ret->login && !(ret->cwd = strdup("/")))
        return err_errno(e, -ENOMEM, "cwd");
    return 0;
}

int exec_spec_decode(const char *json, size_t len, struct exec_spec *ret, struct err *e)
{
    static const char *const names[] = {"argv",      "env",  "cwd",   "uid", "gid", "timeout_ms",
                                        "stdin",     "user", "login", "pty", "job", "limits",
                                        "kill_rest", "warm", "alone", NULL};
    if (len > AGENT_SPEC_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "the spec is larger than %llu bytes",
                       AGENT_SPEC_MAX_BYTES);
    auto_json json_t *obj = NULL;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    int r = field_parse(json, len, &obj, e);
    r = r < 0 ? r : field_only(obj, names, e);
    r = r < 0 ? r : decode_manner(obj, &spec, e);
    r = r < 0 ? r : decode_limits(obj, &spec, e);
    r = r < 0 ? r : decode_argv(obj, &spec, &spec.argv, e);
    r = r < 0 ? r : decode_env(obj, &spec.env, e);
    r = r < 0 ? r : decode_user(obj, &spec, e);
    r = r < 0 ? r : decode_cwd(obj, &spec, e);
    if (r < 0)
        return r;
    *ret = spec;
    spec = (struct exec_spec){0};
    return 0;
}

int exec_exit_encode(const struct exec_exit *x, struct buf *out)
{
    return buf_printf(out,
                      "{\"code\":%d,\"signal\":%d,\"timed_out\":%s,\"wall_us\":%lld,"
                      "\"user_us\":%lld,\"system_us\":%lld,\"max_rss_kib\":%lld,"
                      "\"stdout_bytes\":%lld,\"stderr_bytes\":%lld,\"cpu_us\":%lld,"
                      "\"memory_peak_bytes\":%lld,\"oom\":%s}",
                      x->code, x->signal, x->timed_out ? "true" : "false", (long long)x->wall_us,
                      (long long)x->user_us, (long long)x->system_us, (long long)x->max_rss_kib,
                      (long long)x->stdout_bytes, (long long)x->stderr_bytes, (long long)x->cpu_us,
                      (long long)x->memory_peak_bytes, x->oom ? "true" : "false");
}

static int decode_counts(json_t *obj, struct exec_exit *ret, struct err *e)
{
    const struct {
        const char *name;
        enum field_need need;
        int64_t *ret;
    } counts[] = {
        {"wall_us", FIELD_REQUIRED, &ret->wall_us},
        {"user_us", FIELD_REQUIRED, &ret->user_us},
        {"system_us", FIELD_REQUIRED, &ret->system_us},
        {"max_rss_kib", FIELD_REQUIRED, &ret->max_rss_kib},
        {"stdout_bytes", FIELD_REQUIRED, &ret->stdout_bytes},
        {"stderr_bytes", FIELD_REQUIRED, &ret->stderr_bytes},
        {"cpu_us", FIELD_OPTIONAL, &ret->cpu_us},
        {"memory_peak_bytes", FIELD_OPTIONAL, &ret->memory_peak_bytes},
    };
    int r = 0;
    ret->cpu_us = ret->memory_peak_bytes = -1;
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(counts); i++)
        r = field_int(obj, counts[i].name, counts[i].need, count_range, counts[i].ret, e);
    if (r < 0)
        return r;
    if (ret->cpu_us < 0 && __builtin_add_overflow(ret->user_us, ret->system_us, &ret->cpu_us))
        ret->cpu_us = INT64_MAX;
    if (ret->memory_peak_bytes < 0 &&
        __builtin_mul_overflow(ret->max_rss_kib, 1024, &ret->memory_peak_bytes))
        ret->memory_peak_bytes = INT64_MAX;
    return 0;
}

int exec_exit_decode(const char *json, size_t len, struct exec_exit *ret, struct err *e)
{
    static const struct field_range code_range = {0, 255}, signal_range = {0, 64};
    struct exec_exit x = {0};
    int64_t code, sig;
    auto_json json_t *obj = NULL;
    if (len > AGENT_REPORT_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "an exit of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    r = r < 0 ? r : field_int(obj, "code", FIELD_REQUIRED, code_range, &code, e);
    r = r < 0 ? r : field_int(obj, "signal", FIELD_REQUIRED, signal_range, &sig, e);
    r = r < 0 ? r : field_bool(obj, "timed_out", FIELD_REQUIRED, &x.timed_out, e);
    r = r < 0 ? r : decode_counts(obj, &x, e);
    r = r < 0 ? r : field_bool(obj, "oom", FIELD_OPTIONAL, &x.oom, e);
    if (r < 0)
        return r;
    x.code = (int)code;
    x.signal = (int)sig;
    *ret = x;
    return 0;
}

int exec_started_encode(int64_t pid, struct buf *out)
{
    return buf_printf(out, "{\"pid\":%lld}", (long long)pid);
}

int exec_started_decode(const char *json, size_t len, int64_t *ret_pid, struct err *e)
{
    static const struct field_range pid_range = {1, INT_MAX};
    auto_json json_t *obj = NULL;
    if (len > AGENT_REPORT_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a start report of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    return r < 0 ? r : field_int(obj, "pid", FIELD_REQUIRED, pid_range, ret_pid, e);
}

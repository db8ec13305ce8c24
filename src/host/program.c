/* SPDX-License-Identifier: Apache-2.0 */
#include "host/program_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/guest.h"
#include "host/program_priv.h"
#include "host/vm.h"

/* How much longer than the program's own limit the host waits for the agent to say that it was
 * reached. A guest that is starved by its program answers late; one that does not answer at all is
 * taken as timed out just the same. */
#define AGENT_GRACE_MS 5000

#define EXIT_TIMED_OUT 124 /* as timeout(1) has it */
#define TIMED_OUT_MARK "\nExecution timed out"

static const char *const base_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/home/user",
    "USER=user",
    "LOGNAME=user",
    "LANG=C.UTF-8",
    "SHELL=/bin/sh",
};

/* --- Checking a request --- */

static int too_large(struct err *e, const char *field, const char *what, unsigned long long max)
{
    int r = err_field(e, field, "%s exceeds %llu", what, max);
    if (e)
        e->class = ERR_TOO_LARGE;
    return r;
}

static int check_args(const struct run_request *rq, struct err *e)
{
    size_t total = 0;
    if (rq->n_args > RUN_ARGS_MAX)
        return too_large(e, "args", "the number of arguments", RUN_ARGS_MAX);
    for (size_t i = 0; i < rq->n_args; i++)
        total += strlen(rq->args[i]) + 1;
    return total > RUN_ARGS_MAX_BYTES
               ? too_large(e, "args", "the size of all arguments in bytes", RUN_ARGS_MAX_BYTES)
               : 0;
}

static int check_env(const struct run_request *rq, struct err *e)
{
    size_t total = 0;
    if (rq->n_env > RUN_ENV_MAX)
        return too_large(e, "env", "the number of variables", RUN_ENV_MAX);
    for (size_t i = 0; i < rq->n_env; i++) {
        const struct run_pair *v = &rq->env[i];
        if (!v->name[0] || strchr(v->name, '='))
            return err_field(e, "env", "\"%.60s\" is no name for an environment variable", v->name);
        if (memchr(v->data, '\0', v->len))
            return err_field(e, "env", "the value of %.60s has a NUL character", v->name);
        total += strlen(v->name) + v->len + 2;
    }
    return total > RUN_ENV_MAX_BYTES
               ? too_large(e, "env", "the size of all variables in bytes", RUN_ENV_MAX_BYTES)
               : 0;
}

/* A relative path that stays below the directory it is used in. */
static bool name_is_safe(const char *name)
{
    if (!name[0] || strlen(name) > RUN_FILE_NAME_MAX_BYTES)
        return false;
    for (const char *p = name;;) {
        size_t len = strcspn(p, "/");
        if (!len || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (!p[len])
            return true;
        p += len + 1;
    }
}

/* Whether one of two names would have to be a directory for the other. */
static bool names_collide(const char *a, const char *b)
{
    size_t len = strlen(a);
    return strncmp(a, b, len) == 0 && (b[len] == '/' || !b[len]);
}

static int check_collisions(const struct run_request *rq, const char *program, size_t i,
                            struct err *e)
{
    const char *name = rq->files[i].name;
    if (names_collide(name, program) || names_collide(program, name))
        return err_field(e, "files", "\"%.80s\" is in the way of the program, %s", name, program);
    for (size_t j = 0; j < rq->n_files; j++) {
        if (j != i && names_collide(name, rq->files[j].name))
            return err_field(e, "files", "\"%.80s\" and \"%.80s\" cannot both be files", name,
                             rq->files[j].name);
    }
    return 0;
}

static int check_files(const struct run_request *rq, const struct language *lang, struct err *e)
{
    size_t total = 0;
    if (rq->n_files > RUN_FILES_MAX)
        return too_large(e, "files", "the number of files", RUN_FILES_MAX);
    for (size_t i = 0; i < rq->n_files; i++) {
        const char *name = rq->files[i].name;
        if (!name_is_safe(name))
            return err_field(
                e, "files",
                "\"%.80s\" is no name for a file: relative, without \"..\", at most %d bytes", name,
                RUN_FILE_NAME_MAX_BYTES);
        int r = check_collisions(rq, lang->file, i, e);
        if (r < 0)
            return r;
        total += rq->files[i].len;
    }
    return total > RUN_FILES_MAX_BYTES
               ? too_large(e, "files", "the size of all files in bytes", RUN_FILES_MAX_BYTES)
               : 0;
}

int program_check(const struct run_request *rq, const struct language **ret, struct err *e)
{
    const struct language *lang = host_language_find(rq->language);
    if (!lang) {
        int r = err_field(e, "language", "language not found: %.80s", rq->language);
        if (e)
            e->class = ERR_NOT_FOUND;
        return r == 0 ? 0 : -ENOENT;
    }
    if (rq->code_len > RUN_CODE_MAX_BYTES)
        return too_large(e, "code", "the size of the program in bytes", RUN_CODE_MAX_BYTES);
    if (rq->stdin_len > RUN_STDIN_MAX_BYTES)
        return too_large(e, "stdin", "the size of the standard input in bytes",
                         RUN_STDIN_MAX_BYTES);
    if (rq->timeout_ms <= 0 || rq->timeout_ms > RUN_TIMEOUT_MAX_S * 1000)
        return err_field(e, "timeout", "timeout must be from 1 to %d seconds", RUN_TIMEOUT_MAX_S);
    int r = check_args(rq, e);
    if (r == 0)
        r = check_env(rq, e);
    if (r == 0)
        r = check_files(rq, lang, e);
    if (r == 0)
        *ret = lang;
    return r;
}

/* --- The command --- */

void strings_done(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->list[i]);
    free(s->list);
}

/* Takes `text`; NULL marks the list as failed. */
static void strings_take(struct strings *s, char *text)
{
    if (s->n + 2 > s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        char **more = realloc(s->list, cap * sizeof(*more));
        if (!more) {
            free(text);
            s->failed = true;
            return;
        }
        s->list = more;
        s->cap = cap;
    }
    if (!text) {
        s->failed = true;
        return;
    }
    s->list[s->n++] = text;
    s->list[s->n] = NULL;
}

static void strings_add(struct strings *s, const char *text)
{
    strings_take(s, strdup(text));
}

/* A list of none is a list, too. */
static void strings_init(struct strings *s)
{
    strings_add(s, "");
    if (s->n)
        free(s->list[--s->n]);
    if (s->list)
        s->list[s->n] = NULL;
}

void strings_add_words(struct strings *s, const char *words, const char *file)
{
    while (*words) {
        size_t len = strcspn(words, " ");
        if (len == strlen("{file}") && strncmp(words, "{file}", len) == 0)
            strings_add(s, file);
        else
            strings_take(s, strndup(words, len));
        words += len + (words[len] == ' ');
    }
}

/* One command for both steps saves a round trip. The compiler must not eat the program's input, and
 * what it prints is no output of the program. */
static void build_script(struct buf *script, const struct language *lang, enum program_step step)
{
    if (step != PROGRAM_START)
        buf_printf(script, "%s </dev/null >&2", lang->compile);
    if (step == PROGRAM_WHOLE)
        buf_append_str(script, " && ");
    if (step != PROGRAM_COMPILE)
        buf_printf(script, "exec %s \"$@\"", lang->run);
}

/* What a runtime that waits has been started with is not said again. */
static void build_argv(struct strings *argv, const struct language *lang, const struct collector *c)
{
    const struct run_request *rq = c->rq;
    if (c->warm) {
        strings_init(argv);
    } else if (lang->compile) {
        auto_buf struct buf script = {0};
        build_script(&script, lang, c->step);
        strings_add(argv, "sh");
        strings_add(argv, "-c");
        strings_add(argv, buf_str(&script));
        if (c->step == PROGRAM_COMPILE)
            return;
        strings_add(argv, lang->file);
    } else {
        strings_add_words(argv, lang->run, lang->file);
    }
    for (size_t i = 0; i < rq->n_args; i++)
        strings_add(argv, rq->args[i]);
}

static bool is_overridden(const char *assignment, const struct run_request *rq)
{
    size_t len = strcspn(assignment, "=");
    for (size_t i = 0; i < rq->n_env; i++) {
        if (strlen(rq->env[i].name) == len && strncmp(rq->env[i].name, assignment, len) == 0)
            return true;
    }
    return false;
}

void program_env(struct strings *env, const struct language *lang, const struct run_request *rq,
                 const char *words)
{
    struct strings all = {0};
    for (size_t i = 0; i < ARRAY_SIZE(base_env); i++)
        strings_add(&all, base_env[i]);
    strings_add_words(&all, lang->env, "");
    for (size_t i = 0; i < all.n; i++) {
        if (!is_overridden(all.list[i], rq))
            strings_add(env, all.list[i]);
    }
    env->failed |= all.failed;
    strings_done(&all);
    strings_add_words(env, words, "");
    for (size_t i = 0; i < rq->n_env; i++) {
        auto_buf struct buf b = {0};
        buf_printf(&b, "%s=", rq->env[i].name);
        buf_append(&b, rq->env[i].data, rq->env[i].len);
        strings_take(env, buf_take(&b));
    }
}

/* The program and its files; paths are owned by `paths`. */
static int build_files(struct guest_file **ret, struct strings *paths, const struct language *lang,
                       const struct collector *c)
{
    const struct run_request *rq = c->rq;
    struct guest_file *files = calloc(rq->n_files + 1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i <= rq->n_files; i++) {
        const struct run_pair *f = i ? &rq->files[i - 1] : NULL;
        auto_buf struct buf path = {0};
        buf_printf(&path, "%s/%s", c->dir, f ? f->name : lang->file);
        strings_take(paths, buf_take(&path));
        files[i] = (struct guest_file){
            .data = f ? f->data : rq->code,
            .len = f ? f->len : rq->code_len,
            .mode = 0644,
            .uid = USER_ID,
            .gid = USER_ID,
            .in_place = c->warm && !f, /* it may have opened it already */
        };
    }
    for (size_t i = 0; !paths->failed && i <= rq->n_files; i++)
        files[i].path = paths->list[i];
    *ret = files;
    return paths->failed ? -ENOMEM : 0;
}

/* --- Output --- */

/* Of each stream. */
static size_t output_bound(const struct run_request *rq, const struct program_wait *w)
{
    size_t limit = w->limits.output_bytes ? (size_t)w->limits.output_bytes : SIZE_MAX;
    return rq->output || limit < RUN_OUTPUT_MAX_BYTES ? limit : RUN_OUTPUT_MAX_BYTES;
}

/* How much of it is still within the bound. A guest is not believed that it sends no more, and of
 * standard error a compiler may have had a part. */
static size_t within_bound(struct collector *c, int stream, size_t len)
{
    size_t *given = stream == 1 ? &c->out_bytes : &c->err_bytes;
    size_t bound = output_bound(c->rq, c->wait), room = *given < bound ? bound - *given : 0;
    if (len > room) {
        *(stream == 1 ? &c->result->out_truncated : &c->result->err_truncated) = true;
        len = room;
    }
    *given += len;
    return len;
}

static int on_output(void *arg, int stream, const void *data, size_t len)
{
    struct collector *c = arg;
    struct run_result *ret = c->result;
    len = within_bound(c, stream, len);
    if (!len)
        return 0;
    if (c->rq->output)
        return c->rq->output(c->rq->arg, stream, data, len);
    if (buf_append(stream == 1 ? &ret->out : &ret->err, data, len) < 0)
        *(stream == 1 ? &ret->out_truncated : &ret->err_truncated) = true;
    return 0;
}

static bool on_cancelled(void *arg)
{
    struct collector *c = arg;
    return c->wait->cancelled && c->wait->cancelled(c->wait->arg);
}

static void take_exit(const struct collector *c, const struct exec_exit *x)
{
    struct run_result *ret = c->result;
    ret->timed_out = x->timed_out;
    ret->exit_code = x->timed_out ? EXIT_TIMED_OUT : x->code;
    ret->signal = x->timed_out ? 0 : x->signal;
    ret->cpu_us = x->cpu_us;
    ret->memory_peak_bytes = x->memory_peak_bytes;
    ret->out_of_memory = x->oom;
    int64_t limit = c->wait->limits.output_bytes;
    ret->out_truncated |= limit && x->stdout_bytes > limit;
    ret->err_truncated |= limit && x->stderr_bytes > limit;
}

static int execute(struct vm *vm, struct collector *c, const struct exec_spec *spec,
                   const struct guest_file *files, struct err *e)
{
    const struct run_request *rq = c->rq;
    struct guest_exec x = {
        .spec = spec,
        .files = files,
        .n_files = files ? rq->n_files + 1 : 0,
        .stdin_data = rq->stdin_data,
        .stdin_len = rq->stdin_len,
        .deadline_ms = clock_mono_ms() + rq->timeout_ms + AGENT_GRACE_MS,
        .cancelled = on_cancelled,
        .output = on_output,
        .arg = c,
    };
    struct exec_exit exit = {0};
    int r = guest_exec(vm->link, &x, &exit, e);
    c->result->exec_us = clock_mono_us() - c->start_us;
    c->result->warm = c->warm != NULL;
    c->wait->started |= x.started;
    if (r < 0 && e->class == ERR_TIMEOUT && !x.started) {
        err_set(e, ERR_UNAVAILABLE, "the VM did not answer");
        return -ETIMEDOUT;
    }
    if (r < 0 && e->class == ERR_TIMEOUT) {
        exit = (struct exec_exit){.timed_out = true};
        r = 0;
    }
    if (r == 0)
        take_exit(c, &exit);
    return r;
}

static int run_once(struct vm *vm, const struct language *lang, struct collector *c, struct err *e)
{
    const struct run_request *rq = c->rq;
    CLEANUP(strings_done) struct strings argv = {0};
    CLEANUP(strings_done) struct strings env = {0};
    CLEANUP(strings_done) struct strings paths = {0};
    auto_free struct guest_file *files = NULL;
    build_argv(&argv, lang, c);
    program_env(&env, lang, rq, "");
    int r = c->step == PROGRAM_START ? 0 : build_files(&files, &paths, lang, c);
    if (r < 0 || argv.failed || env.failed)
        return err_errno(e, -ENOMEM, "run");
    struct exec_spec spec = {
        .argv = argv.list,
        .env = env.list,
        .cwd = (char *)c->dir,
        .uid = USER_ID,
        .gid = USER_ID,
        .timeout_ms = rq->timeout_ms,
        /* Always a pipe, as a runtime that waits has one: /dev/null is something else. */
        .has_stdin = rq->stdin_len > 0 || lang->warm,
        .limits = c->wait->limits,
        .kill_rest = c->kill_rest,
        .warm = (char *)c->warm,
        .alone = c->alone,
    };
    return execute(vm, c, &spec, files, e);
}

/* A runtime that does not wait any more, or never did, costs a round trip, and no program. */
int program_collect(struct vm *vm, const struct language *lang, struct collector *c, struct err *e)
{
    struct err own = ERR_INIT;
    e = e ? e : &own;
    c->start_us = clock_mono_us();
    int r = run_once(vm, lang, c, e);
    if (r == 0 || !c->warm || e->class != ERR_CONFLICT || c->wait->started)
        return r;
    log_debug("program", "vm=%s language=%s runs cold: %s", vm->record.id, lang->name, e->text);
    c->warm = NULL;
    return run_once(vm, lang, c, e);
}

static bool has_prefix(const char *name, const char *words)
{
    for (const char *p = words; *p;) {
        size_t len = strcspn(p, " ");
        if (len && strncmp(name, p, len) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

/* What a runtime has looked at before it waits cannot be handed over, nor can what it has taken
 * count against a bound of memory. */
static bool can_be_warm(const struct language *lang, const struct run_request *rq,
                        const struct exec_limits *limits)
{
    const struct language_warm *w = lang->warm;
    if (!w || rq->cold || (rq->n_args && !w->takes_args) || (rq->n_env && !w->takes_env))
        return false;
    if (limits->memory_bytes)
        return false;
    for (size_t i = 0; i < rq->n_env; i++) {
        if (has_prefix(rq->env[i].name, w->cold_env))
            return false;
    }
    return true;
}

void program_mark_timeout(const struct run_request *rq, const struct program_wait *w,
                          struct run_result *ret)
{
    size_t bound = output_bound(rq, w), mark = strlen(TIMED_OUT_MARK);
    if (!ret->timed_out || rq->output)
        return;
    if (ret->err.len + mark > bound) {
        ret->err.len = bound - mark;
        ret->err_truncated = true;
    }
    buf_append_str(&ret->err, TIMED_OUT_MARK);
}

int program_run(struct vm *vm, const struct run_request *rq, struct program_wait *w,
                struct run_result *ret, struct err *e)
{
    struct collector c = {.dir = WORK_DIR,
                          .warm = can_be_warm(vm->lang, rq, &w->limits) ? WARM_RUN : NULL,
                          .alone = vm->lang->warm != NULL,
                          .rq = rq,
                          .wait = w,
                          .result = ret};
    int r = program_collect(vm, vm->lang, &c, e);
    if (r == 0)
        program_mark_timeout(rq, w, ret);
    return r;
}

int program_hello(struct vm *vm, const struct language *lang, struct program_wait *w, struct err *e)
{
    return program_hello_by(vm, lang, NULL, w, e);
}

int program_hello_by(struct vm *vm, const struct language *lang, const char *warm,
                     struct program_wait *w, struct err *e)
{
    struct run_request rq = {
        .language = lang->name,
        .code = lang->hello,
        .code_len = strlen(lang->hello),
        .timeout_ms = HELLO_TIMEOUT_MS,
    };
    struct run_result res = {0};
    struct collector c = {.dir = HELLO_DIR, .warm = warm, .rq = &rq, .wait = w, .result = &res};
    int r = program_collect(vm, lang, &c, e);
    if (r == 0 && (res.exit_code != 0 || strcmp(buf_str(&res.out), lang->expect) != 0))
        r = err_set(e, ERR_INTERNAL,
                    "the hello program of %s ended with %d%s and printed \"%.80s\", \"%.200s\"",
                    lang->name, res.exit_code, res.timed_out ? " (timed out)" : "",
                    buf_str(&res.out), buf_str(&res.err));
    run_result_done(&res);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Calls into the guests of VMs that live, that are over when they return: commands, jobs, files.
 * (What is read and written piece by piece is in vms_stream.c.) Each is a use of the VM's link. */

#include "host/vms_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/console.h"
#include "host/vms_use.h"

int use_begin(struct host *h, const char *account, const char *id, struct use *ret, struct err *e)
{
    struct use u = {.host = h};
    int r = instance_find(h->instances, account, id, &u.inst, e);
    if (r < 0)
        return r;
    r = instance_use(h->instances, u.inst, &u.link, e);
    if (r < 0) {
        instance_unref(h->instances, u.inst);
        return r;
    }
    *ret = u;
    return 0;
}

void use_end(struct use *u)
{
    if (!u->inst)
        return;
    instance_unuse(u->host->instances, u->inst);
    instance_unref(u->host->instances, u->inst);
    *u = (struct use){0};
}

static int64_t soon(void)
{
    return clock_mono_ms() + GUEST_CALL_TIMEOUT_MS;
}

/* --- what a command is started with --- */

static int add_env(char ***list, size_t *n, json_t *env)
{
    const char *name;
    json_t *value;
    char **more = reallocarray(*list, *n + json_object_size(env) + 1, sizeof(**list));
    if (!more)
        return -ENOMEM;
    *list = more;
    json_object_foreach(env, name, value)
    {
        if (asprintf(&more[*n], "%s=%s", name, json_string_value(value)) < 0)
            return -ENOMEM;
        (*n)++;
    }
    more[*n] = NULL;
    return 0;
}

void use_free_env(char **env)
{
    for (char **p = env; p && *p; p++)
        free(*p);
    free(env);
}

int use_env(struct use *u, json_t *more, char ***ret, struct err *e)
{
    char **list = NULL;
    size_t n = 0;
    struct vm_info info;
    instance_get_info(u->host->instances, u->inst, &info);
    int r = add_env(&list, &n, info.env);
    if (r == 0 && more)
        r = add_env(&list, &n, more);
    vm_info_done(&info);
    if (r < 0) {
        use_free_env(list);
        return err_errno(e, r, "environment");
    }
    *ret = list;
    return 0;
}

char **use_argv(const char *const *argv, size_t n)
{
    char **list = calloc(n + 1, sizeof(*list));
    if (!list)
        return NULL;
    for (size_t i = 0; i < n; i++)
        list[i] = (char *)argv[i];
    return list;
}

static void spec_done(struct exec_spec *spec)
{
    use_free_env(spec->env);
    free(spec->argv);
}

static int make_spec(struct use *u, const struct vm_exec *x, struct exec_spec *ret, struct err *e)
{
    *ret = (struct exec_spec){
        .argv = use_argv(x->argv, x->n_argv),
        .cwd = (char *)x->cwd,
        .user = (char *)(x->user ? x->user : "root"),
        .login = true,
        .timeout_ms = x->timeout_ms,
        .has_stdin = x->stdin_len > 0,
    };
    int r = ret->argv ? use_env(u, x->env, &ret->env, e) : err_errno(e, -ENOMEM, "command");
    if (r < 0)
        spec_done(ret);
    return r;
}

/* --- commands --- */

struct running {
    const struct vm_exec *x;
    struct host *host;
};

static bool is_cancelled(void *arg)
{
    const struct running *rn = arg;
    return rn->host->aborting || (rn->x->cancelled && rn->x->cancelled(rn->x->arg));
}

static int on_output(void *arg, int stream, const void *data, size_t len)
{
    const struct running *rn = arg;
    return rn->x->output ? rn->x->output(rn->x->arg, stream, data, len) : 0;
}

int host_vm_exec(struct host *h, const char *account, const char *id, const struct vm_exec *x,
                 struct exec_exit *ret, struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    struct exec_spec spec;
    int r = use_begin(h, account, id, &u, e);
    if (r == 0)
        r = make_spec(&u, x, &spec, e);
    if (r < 0)
        return r;
    struct running rn = {.x = x, .host = h};
    int64_t limit_ms = x->timeout_ms ? x->timeout_ms + GUEST_CALL_TIMEOUT_MS : GUEST_FOREVER_MS;
    struct guest_exec ge = {
        .spec = &spec,
        .stdin_data = x->stdin_data,
        .stdin_len = x->stdin_len,
        .deadline_ms = clock_mono_ms() + limit_ms,
        .cancelled = is_cancelled,
        .output = on_output,
        .arg = &rn,
    };
    u.inst->execs++;
    u.inst->commands++;
    r = guest_exec(u.link, &ge, ret, e);
    u.inst->execs--;
    spec_done(&spec);
    return r;
}

/* --- jobs --- */

int host_vm_job_start(struct host *h, const char *account, const char *id, const struct vm_exec *x,
                      char ret_job[ID_SIZE], struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    struct exec_spec spec;
    char job[ID_SIZE];
    int r = use_begin(h, account, id, &u, e);
    if (r == 0)
        r = make_spec(&u, x, &spec, e);
    if (r < 0)
        return r;
    id_new(job);
    spec.job = job;
    u.inst->commands++;
    r = guest_job_start(u.link, &spec, x->stdin_data, x->stdin_len, soon(), e);
    spec_done(&spec);
    if (r == 0)
        memcpy(ret_job, job, sizeof(job));
    return r;
}

int host_vm_jobs(struct host *h, const char *account, const char *id, const char *job,
                 struct guest_jobs *ret, struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_job_list(u.link, job, soon(), ret, e);
}

int host_vm_job_output(struct host *h, const char *account, const char *id, const char *job,
                       struct guest_job_output *o, struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_job_output(u.link, job, o, e);
}

int host_vm_job_signal(struct host *h, const char *account, const char *id, const char *job,
                       int signal, struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_job_signal(u.link, job, signal, soon(), e);
}

int host_vm_job_forget(struct host *h, const char *account, const char *id, const char *job,
                       struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_job_forget(u.link, job, soon(), e);
}

/* --- files --- */

int host_vm_stat(struct host *h, const char *account, const char *id, const char *path,
                 struct guest_stat *ret, struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_get_stat(u.link, path, soon(), ret, e);
}

int host_vm_list_dir(struct host *h, const char *account, const char *id, const char *path,
                     json_t **ret, struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_list_dir(u.link, path, soon(), ret, e);
}

int host_vm_remove(struct host *h, const char *account, const char *id, const char *path,
                   struct err *e)
{
    CLEANUP(use_end) struct use u = {0};
    int r = use_begin(h, account, id, &u, e);
    return r < 0 ? r : guest_remove(u.link, path, soon(), e);
}

/* --- the console's log --- */

int host_vm_console_log(struct host *h, const char *account, const char *id, struct buf *ret,
                        struct err *e)
{
    struct vm_info info;
    int r = host_vm_get(h, account, id, &info, e);
    if (r < 0)
        return r;
    vm_info_done(&info);
    return console_log(h->consoles, id, ret, e);
}

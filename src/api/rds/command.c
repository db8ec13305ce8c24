/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/text.h"
#include "base/limits.h"

/* One for the directory, one to make the workspace, one for the program, and one that runs it. */
#define TRIES_MAX 4

/* ---- running ---- */

void rds_output_done(struct rds_output *o)
{
    buf_done(&o->out);
    buf_done(&o->err);
}

int rds_output_keep(struct buf *b, const void *data, size_t len)
{
    size_t room = RDS_OUTPUT_MAX_BYTES - b->len;
    return buf_append(b, data, len < room ? len : room);
}

struct running {
    const struct rds_command *command;
    struct rds_output *output;
    int client_fd;
};

static int on_output(void *arg, int stream, const void *data, size_t len)
{
    struct running *rn = arg;
    const struct rds_command *c = rn->command;
    if (stream == 2 && c->on_stderr)
        return c->on_stderr(c->arg, data, len);
    return rds_output_keep(stream == 2 ? &rn->output->err : &rn->output->out, data, len);
}

static bool client_left(void *arg)
{
    const struct running *rn = arg;
    return request_fd_hung_up(rn->client_fd);
}

static int make_workspace(struct request *rq, const char *vm, struct err *e)
{
    static const char *const argv[] = {
        "sh", "-c", "mkdir -p " RDS_WORKSPACE " && chown " RDS_USER_AND_GROUP " " RDS_WORKSPACE};
    const struct vm_exec x = {.argv = argv,
                              .n_argv = ARRAY_SIZE(argv),
                              .cwd = "/",
                              .timeout_ms = RDS_EXEC_TIMEOUT_DEFAULT_MS};
    struct exec_exit exit;
    return host_vm_exec(rq->host, rq->account, vm, &x, &exit, e);
}

/* What the agent says of a command that it could not start, and so did not: these are the words of
 * its spawn.c. A guest that lies about them gets one more try, no more. */
static bool is_about(const struct err *e, const char *word)
{
    return e->class == ERR_INVALID && strncmp(e->text, word, strlen(word)) == 0;
}

/* The next try: 1, or there is none: 0; negative: it failed. */
static int amend(struct request *rq, const char *vm, const struct rds_command *c, struct vm_exec *x,
                 struct err *e)
{
    if (is_about(e, "cwd ")) {
        *e = (struct err)ERR_INIT;
        if (strcmp(x->cwd, RDS_WORKSPACE) == 0 && make_workspace(rq, vm, e) < 0)
            return -EINVAL;
        x->cwd = RDS_WORKSPACE;
        return 1;
    }
    if (!is_about(e, "argv") || !strstr(e->text, "not found"))
        return 0;
    if (!c->fallback || strcmp(c->argv[0], c->fallback) == 0)
        return err_set(e, ERR_CONFLICT, "the VM's image has no %s", c->argv[0]);
    c->argv[0] = c->fallback;
    *e = (struct err)ERR_INIT;
    return 1;
}

int rds_command_run(struct request *rq, const struct rds_command *c, const char *what,
                    struct rds_output *ret, struct err *e)
{
    char vm[ID_SIZE], cwd[AGENT_PATH_MAX_BYTES + 1];
    int r = rds_id(rq, 0, RDS_VM, vm, e);
    if (r == 0)
        r = rds_path(c->cwd ? c->cwd : "", "cwd", cwd, e);
    if (r < 0)
        return r;
    struct running rn = {.command = c, .output = ret, .client_fd = rq->fd};
    struct vm_exec x = {
        .argv = c->argv,
        .n_argv = c->n_argv,
        .cwd = cwd,
        .user = RDS_USER_AND_GROUP,
        .env = c->env,
        .stdin_data = c->stdin_data,
        .stdin_len = c->stdin_len,
        .timeout_ms = c->timeout_ms,
        .cancelled = client_left,
        .output = on_output,
        .arg = &rn,
    };
    for (int tries = 1;; tries++) {
        r = host_vm_exec(rq->host, rq->account, vm, &x, &ret->exit, e);
        if (r == 0 || tries == TRIES_MAX || amend(rq, vm, c, &x, e) != 1)
            break;
    }
    if (r < 0 && e->class == ERR_CONFLICT)
        r = -EBUSY;
    return rds_not_running(rq, vm, what, r, e);
}

json_t *rds_output_json(struct rds_output *o)
{
    if (o->exit.timed_out)
        buf_append_str(&o->err, "\nTimeout exceeded");
    return json_pack("{s:i, s:o, s:o}", "exitCode", o->exit.timed_out ? -1 : o->exit.code, "stdout",
                     text_json(buf_str(&o->out), o->out.len), "stderr",
                     text_json(buf_str(&o->err), o->err.len));
}

int rds_timeout(double given, int max_ms, const char *max_name, int64_t *ret_ms, struct err *e)
{
    if (given > max_ms)
        return err_field(e, "timeoutMs", "timeoutMs exceeds %s=%d", max_name, max_ms);
    int64_t ms = (int64_t)given;
    if (!ms)
        ms = RDS_EXEC_TIMEOUT_DEFAULT_MS < max_ms ? RDS_EXEC_TIMEOUT_DEFAULT_MS : max_ms;
    *ret_ms = ms;
    return 0;
}

int rds_check_env_name(const char *name, struct err *e)
{
    if (*name && !strchr(name, '='))
        return 0;
    return err_field(e, "env", "Invalid env var name: %.60s", name);
}

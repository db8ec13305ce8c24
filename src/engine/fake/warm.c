/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/warm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "engine/fake/call.h"
#include "engine/fake/guest.h"
#include "engine/fake/pack.h"

struct warm {
    struct warm *next;
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    int64_t pid;
    struct exec_spec spec;
};

static void warm_free(struct warm *w)
{
    if (!w)
        return;
    exec_spec_done(&w->spec);
    free(w);
}
DEFINE_AUTO(struct warm *, warm_free)

void warms_clear(struct guest *g)
{
    while (g->warms) {
        struct warm *w = g->warms;
        g->warms = w->next;
        warm_free(w);
    }
}

static struct warm **find(struct guest *g, const char *id)
{
    struct warm **at = &g->warms;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static size_t count(const struct guest *g)
{
    size_t n = 0;
    for (const struct warm *w = g->warms; w; w = w->next)
        n++;
    return n;
}

/* --- requests --- */

/* Nothing that only a program of a client can have. */
static bool fits(const struct exec_spec *spec)
{
    return !spec->job && !spec->login && !spec->pty_rows && !spec->user;
}

static int get_start(const struct call *c, char id[EXEC_JOB_ID_MAX_BYTES + 1],
                     struct exec_spec *ret, struct err *e)
{
    static const char *const names[] = {"id", NULL};
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : call_param(c, "id", id, EXEC_JOB_ID_MAX_BYTES + 1, e);
    if (r < 0)
        return r;
    if (r == 0 || !exec_job_id_is_valid(id))
        return err_field(e, "id", "id must be 1 to %d characters of 0-9a-z", EXEC_JOB_ID_MAX_BYTES);
    r = exec_spec_decode(buf_str(&c->body), c->body.len, ret, e);
    if (r == 0 && (ret->warm || !fits(ret)))
        r = err_set(e, ERR_INVALID,
                    "a waiting program is no job, and has no terminal, login or user");
    return r;
}

static int get_rehearsal(const struct call *c, struct exec_spec *ret, struct err *e)
{
    static const char *const names[] = {NULL};
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : exec_spec_decode(buf_str(&c->body), c->body.len, ret, e);
    if (r == 0 && (!ret->warm || !fits(ret)))
        r = err_field(e, "warm", "warm must say which program rehearses");
    return r;
}

static int add(struct guest *g, const char *id, struct exec_spec *spec, struct err *e)
{
    if (g->warm_fault == WARM_REFUSED)
        return err_set(e, ERR_CONFLICT, "waiting program %s: it was ordered not to wait", id);
    if (*find(g, id))
        return err_set(e, ERR_CONFLICT, "there is a waiting program %s already", id);
    if (count(g) >= AGENT_WARM_MAX)
        return err_set(e, ERR_CONFLICT, "%d programs wait already", AGENT_WARM_MAX);
    struct warm *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(e, -ENOMEM, "waiting program");
    snprintf(w->id, sizeof(w->id), "%s", id);
    w->pid = g->next_pid++;
    w->spec = *spec;
    *spec = (struct exec_spec){0};
    *find(g, id) = w;
    return 0;
}

static void reply_pid(struct call *c, const struct warm *w)
{
    auto_buf struct buf json = {0};
    if (exec_started_encode(w->pid, &json) < 0)
        call_abort(c);
    else
        call_reply(c, 200, json.data, json.len);
}

void warm_start(struct call *c)
{
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    struct err e = ERR_INIT;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    int r = get_start(c, id, &spec, &e);
    r = r < 0 ? r : add(c->guest, id, &spec, &e);
    if (r < 0)
        call_fail(c, 0, &e);
    else
        reply_pid(c, *find(c->guest, id));
}

void warm_rehearse(struct call *c)
{
    struct err e = ERR_INIT;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    int r = get_rehearsal(c, &spec, &e);
    struct warm *w = r < 0 ? NULL : *find(c->guest, spec.warm);
    if (r == 0 && !w)
        r = err_set(&e, ERR_CONFLICT, "no program %s waits", spec.warm);
    if (r < 0)
        call_fail(c, 0, &e);
    else
        reply_pid(c, w);
}

/* --- the hand-over --- */

static size_t length(char *const *v)
{
    size_t n = 0;
    while (v && v[n])
        n++;
    return n;
}

/* The waiting program's words, then the arguments. */
static int join(struct warm *w, struct exec_spec *spec)
{
    size_t n = length(w->spec.argv), more = length(spec->argv);
    char **argv = calloc(n + more + 1, sizeof(*argv));
    if (!argv)
        return -ENOMEM;
    memcpy(argv, w->spec.argv, n * sizeof(*argv));
    memcpy(argv + n, spec->argv, more * sizeof(*argv));
    free(w->spec.argv);
    w->spec.argv = NULL;
    free(spec->argv);
    spec->argv = argv;
    return 0;
}

static int take_one(struct guest *g, struct exec_spec *spec, struct err *e)
{
    struct warm **at = find(g, spec->warm);
    if (!*at)
        return err_set(e, ERR_CONFLICT, "no program %s waits", spec->warm);
    if (spec->uid != (*at)->spec.uid || spec->gid != (*at)->spec.gid)
        return err_set(e, ERR_CONFLICT, "the waiting program %s is another user's", spec->warm);
    if (join(*at, spec) < 0)
        return err_errno(e, -ENOMEM, "waiting program");
    CLEANUP(warm_freep) struct warm *w = *at;
    *at = w->next;
    free(spec->warm);
    spec->warm = NULL;
    return 0;
}

int warm_take(struct guest *g, struct exec_spec *spec, struct err *e)
{
    int r = spec->warm ? take_one(g, spec, e) : 0;
    if (r == 0 && spec->alone)
        warms_clear(g);
    return r;
}

/* --- saving and loading --- */

void warms_save(const struct guest *g, struct buf *out)
{
    pack_u32(out, count(g));
    for (const struct warm *w = g->warms; w; w = w->next) {
        auto_buf struct buf spec = {0};
        if (exec_spec_encode(&w->spec, &spec, NULL) < 0)
            out->failed = true;
        pack_str(out, w->id);
        pack_i64(out, w->pid);
        pack_bytes(out, spec.data, spec.len);
    }
}

static int load_one(struct guest *g, struct unpack *u)
{
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    struct err e = ERR_INIT;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    unpack_str(u, id, sizeof(id));
    int64_t pid = unpack_range(u, 1, INT32_MAX);
    size_t len = 0;
    const char *json = unpack_bytes(u, &len);
    if (u->failed || !exec_job_id_is_valid(id) || *find(g, id) ||
        exec_spec_decode(json, len, &spec, &e) < 0 || spec.warm)
        return -EINVAL;
    CLEANUP(warm_freep) struct warm *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    snprintf(w->id, sizeof(w->id), "%s", id);
    w->pid = pid;
    w->spec = spec;
    spec = (struct exec_spec){0};
    struct warm **end = &g->warms;
    while (*end)
        end = &(*end)->next;
    *end = TAKE_PTR(w);
    return 0;
}

int warms_load(struct guest *g, struct unpack *u)
{
    size_t n = unpack_u32(u);
    if (u->failed || n > AGENT_WARM_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int r = load_one(g, u);
        if (r < 0)
            return r;
    }
    if (g->warm_fault == WARM_DEAD)
        warms_clear(g);
    return 0;
}

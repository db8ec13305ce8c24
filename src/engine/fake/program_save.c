/* SPDX-License-Identifier: Apache-2.0 */

/* Programs in a template. Times are kept as what is left of them, so that for a clone no time has
 * passed. Nobody's client comes along: who was attached waits for `restored`. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/fake/guest.h"
#include "engine/fake/jobs.h"
#include "engine/fake/program.h"
#include "wire/agent_server.h"

#define TIME_MAX_US (INT64_MAX / 4)
#define SIZE_MAX_ROWS 65535

static void save_time(struct buf *out, int64_t at_us, int64_t now_us)
{
    pack_i64(out, at_us != 0);
    pack_i64(out, at_us > now_us ? at_us - now_us : 0);
}

/* From now on; 0 when there was none. */
static int64_t load_time(struct unpack *u, int64_t now_us)
{
    bool is_set = unpack_range(u, 0, 1);
    int64_t left_us = unpack_range(u, 0, TIME_MAX_US);
    return is_set ? now_us + left_us : 0;
}

static void save_program(const struct program *p, struct buf *out, int64_t now_us)
{
    auto_buf struct buf spec = {0};
    struct err e = ERR_INIT;
    if (exec_spec_encode(&p->spec, &spec, &e) < 0)
        out->failed = true;
    pack_bytes(out, spec.data, spec.len);
    pack_i64(out, p->owner == PROGRAM_ATTACHED ? PROGRAM_ORPHAN : p->owner);
    pack_i64(out, p->pid);
    pack_i64(out, p->rows);
    pack_i64(out, p->cols);
    pack_i64(out, p->in_ended);
    pack_bytes(out, p->in.data, p->in.len);
    pack_bytes(out, p->staged.data, p->staged.len);
    pack_i64(out, now_us - p->start_us);
    save_time(out, p->wake_us, now_us);
    save_time(out, p->limit_us, now_us);
    pack_i64(out, p->busy_us != 0);
    pack_i64(out, p->exit.user_us);
    pack_i64(out, p->exit.stdout_bytes);
    pack_i64(out, p->exit.stderr_bytes);
    script_save(&p->script, &p->event, out);
}

void programs_save(const struct guest *g, struct buf *out)
{
    int64_t now_us = clock_mono_us();
    size_t n = 0;
    for (const struct program *p = g->programs; p; p = p->next)
        n += !p->ended;
    pack_u32(out, n);
    for (const struct program *p = g->programs; p; p = p->next)
        if (!p->ended)
            save_program(p, out, now_us);
}

/* --- loading --- */

static int load_buf(struct buf *b, struct unpack *u)
{
    size_t len;
    const char *data = unpack_bytes(u, &len);
    return data ? buf_append(b, data, len) : -EINVAL;
}

static int load_spec(struct program *p, struct unpack *u)
{
    size_t len;
    struct err e = ERR_INIT;
    const char *json = unpack_bytes(u, &len);
    if (!json)
        return -EINVAL;
    int r = exec_spec_decode(json, len, &p->spec, &e);
    /* It was started, so it has a directory. */
    return r == 0 && !p->spec.cwd ? -EINVAL : r;
}

static int load_numbers(struct program *p, struct unpack *u, int64_t now_us)
{
    p->owner = (enum program_owner)unpack_range(u, PROGRAM_ORPHAN, PROGRAM_OWNER_COUNT - 1);
    p->pid = unpack_range(u, 1, INT32_MAX);
    p->rows = (int)unpack_range(u, 0, SIZE_MAX_ROWS);
    p->cols = (int)unpack_range(u, 0, SIZE_MAX_ROWS);
    p->in_ended = unpack_range(u, 0, 1);
    int r = load_buf(&p->in, u);
    r = r < 0 ? r : load_buf(&p->staged, u);
    p->start_us = now_us - unpack_range(u, 0, TIME_MAX_US);
    p->wake_us = load_time(u, now_us);
    p->limit_us = load_time(u, now_us);
    p->busy_us = unpack_range(u, 0, 1) ? now_us : 0;
    p->exit.user_us = unpack_range(u, 0, TIME_MAX_US);
    p->exit.stdout_bytes = unpack_range(u, 0, TIME_MAX_US);
    p->exit.stderr_bytes = unpack_range(u, 0, TIME_MAX_US);
    p->tick_us = now_us;
    return u->failed ? -EINVAL : r;
}

/* A program and its job find each other by the job's name. */
static int find_job(struct program *p)
{
    if ((p->owner == PROGRAM_JOB) != (p->spec.job != NULL))
        return -EINVAL;
    if (!p->spec.job)
        return 0;
    p->job = jobs_find(&p->guest->jobs, p->spec.job);
    if (!p->job || p->job->program || p->job->pid != p->pid)
        return -EINVAL;
    p->job->program = p;
    return 0;
}

static bool makes_sense(const struct program *p)
{
    bool waits =
        p->event.op == SCRIPT_SLEEP || p->event.op == SCRIPT_BUSY || p->event.op == SCRIPT_TICK;
    return (waits || !p->wake_us) && (p->event.op == SCRIPT_BUSY || !p->busy_us) &&
           (!p->busy_us || p->wake_us);
}

static int load_program(struct program *p, struct unpack *u, int64_t now_us)
{
    int r = load_spec(p, u);
    r = r < 0 ? r : load_numbers(p, u, now_us);
    r = r < 0 ? r : script_load(&p->script, &p->spec, p->guest, u);
    if (r < 0)
        return r;
    script_load_event(&p->script, &p->event, u);
    if (u->failed || !makes_sense(p))
        return -EINVAL;
    r = find_job(p);
    /* Connections do not come along. */
    if (r == 0 && p->event.op == SCRIPT_CONNECT)
        script_next(&p->script, &p->event);
    return r;
}

int programs_load(struct guest *g, struct unpack *u)
{
    int64_t now_us = clock_mono_us();
    size_t n = unpack_u32(u);
    struct program *last = NULL;
    for (size_t i = 0; i < n && !u->failed; i++) {
        struct program *p = calloc(1, sizeof(*p));
        if (!p)
            return -ENOMEM;
        p->guest = g;
        /* In the order in which they were saved. */
        p->prev = last;
        *(last ? &last->next : &g->programs) = p;
        last = p;
        int r = load_program(p, u, now_us);
        if (r < 0)
            return r;
    }
    return u->failed ? -EINVAL : 0;
}

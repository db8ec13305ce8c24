/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/orphan.h"

#include <stddef.h>

#include "agent/agent.h"
#include "agent/exec.h"
#include "agent/link.h"
#include "base/cleanup.h"
#include "base/limits.h"

/* A session that does not begin with `restored` (a daemon that was started anew) will not say what
 * becomes of them; one of a host under load takes its time. */
#define SESSION_ROUNDS 6

static void kill_list(struct exec **list)
{
    for (struct exec *x = TAKE_PTR(*list), *next; x; x = next) {
        next = x->next_orphan;
        exec_kill(x);
    }
}

static void start_timer(struct agent *a)
{
    int64_t ms = a->options.orphan_ms ? a->options.orphan_ms : AGENT_ORPHAN_TIMEOUT_MS;
    loop_timer_start(&a->loop, &a->orphans.timer, ms);
}

static void on_timer(struct loop_timer *t)
{
    struct agent *a = (struct agent *)((char *)t - offsetof(struct agent, orphans.timer));
    bool session = false;
    for (struct link *l = a->links; l; l = link_next(l))
        session |= link_has_session(l);
    if (session && ++a->orphans.rounds < SESSION_ROUNDS)
        start_timer(a);
    else
        orphans_decide(a, false);
}

void orphans_init(struct agent *a)
{
    a->orphans.timer.fire = on_timer;
}

void orphans_add(struct agent *a, struct exec *x)
{
    x->next_orphan = a->orphans.waiting;
    a->orphans.waiting = x;
    a->orphans.rounds = 0;
    start_timer(a);
}

/* A kept one has come to its end. */
static void on_ended(struct exec *x)
{
    struct exec **at = &x->program.agent->orphans.kept;
    while (*at != x)
        at = &(*at)->next_orphan;
    *at = x->next_orphan;
    exec_free(x);
}

void orphans_decide(struct agent *a, bool keep)
{
    loop_timer_stop(&a->loop, &a->orphans.timer);
    if (!keep)
        kill_list(&a->orphans.waiting);
    for (struct exec *x = TAKE_PTR(a->orphans.waiting), *next; x; x = next) {
        next = x->next_orphan;
        x->next_orphan = a->orphans.kept;
        a->orphans.kept = x;
        exec_keep(x, on_ended);
    }
}

void orphans_kill(struct agent *a)
{
    loop_timer_stop(&a->loop, &a->orphans.timer);
    kill_list(&a->orphans.waiting);
    kill_list(&a->orphans.kept);
}

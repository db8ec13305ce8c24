/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sync.h"

#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"

/* sync(2) may take seconds; a child makes the call so that other requests go on meanwhile. */
struct sync_task {
    struct agent_task task; /* first: a pointer to it is a pointer to all */
    struct call *call;      /* NULL: nobody waits any more */
};

static int sync_all(struct agent_task *t)
{
    sync();
    return 0;
}

static void on_ended(struct agent_task *t, int result)
{
    auto_free struct sync_task *own = (struct sync_task *)t;
    if (!own->call)
        return;
    own->call->data = NULL;
    call_reply(own->call, 200, "{}", 2);
}

void sync_begin(struct call *c)
{
    struct err e = ERR_INIT;
    auto_free struct sync_task *t = calloc(1, sizeof(*t));
    if (!t) {
        agent_server_abort(c->stream);
        return;
    }
    t->task.ended = on_ended;
    t->task.run = c->agent->options.sync ? c->agent->options.sync : sync_all;
    t->task.fd = -1;
    t->call = c;
    int r = agent_task_start(c->agent, &t->task);
    if (r < 0) {
        err_errno(&e, r, "fork");
        call_fail(c, 0, &e);
        return;
    }
    c->data = TAKE_PTR(t);
}

void sync_closed(struct call *c)
{
    struct sync_task *t = c->data;
    if (t)
        t->call = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lifecycle.h"

#include <string.h>

#include "base/cleanup.h"

static const char *const state_names[VM_STATE_COUNT] = {
    [VM_BUILDING] = "building",   [VM_STARTING] = "starting", [VM_RUNNING] = "running",
    [VM_PAUSING] = "pausing",     [VM_PAUSED] = "paused",     [VM_SUSPENDING] = "suspending",
    [VM_SUSPENDED] = "suspended", [VM_RESUMING] = "resuming", [VM_STOPPING] = "stopping",
    [VM_STOPPED] = "stopped",     [VM_DELETING] = "deleting", [VM_DELETED] = "deleted",
    [VM_LOST] = "lost",
};

static const char *const event_names[VM_EVENT_COUNT] = {
    [VM_EV_START] = "start",     [VM_EV_READY] = "become ready", [VM_EV_PAUSE] = "pause",
    [VM_EV_SUSPEND] = "suspend", [VM_EV_RESUME] = "resume",      [VM_EV_STOP] = "stop",
    [VM_EV_DONE] = "finish",     [VM_EV_FAILED] = "fail",        [VM_EV_DELETE] = "delete",
    [VM_EV_GONE] = "vanish",
};

struct transition {
    enum vm_state from;
    enum vm_event event;
    enum vm_state to;
};

/* Every legal move; what is not here is a conflict. */
static const struct transition table[] = {
    {VM_BUILDING, VM_EV_START, VM_STARTING},   {VM_BUILDING, VM_EV_FAILED, VM_LOST},
    {VM_BUILDING, VM_EV_DELETE, VM_DELETING},

    {VM_STARTING, VM_EV_READY, VM_RUNNING},    {VM_STARTING, VM_EV_FAILED, VM_LOST},
    {VM_STARTING, VM_EV_GONE, VM_LOST},        {VM_STARTING, VM_EV_DELETE, VM_DELETING},

    {VM_RUNNING, VM_EV_PAUSE, VM_PAUSING},     {VM_RUNNING, VM_EV_SUSPEND, VM_SUSPENDING},
    {VM_RUNNING, VM_EV_STOP, VM_STOPPING},     {VM_RUNNING, VM_EV_DELETE, VM_DELETING},
    {VM_RUNNING, VM_EV_GONE, VM_LOST},

    {VM_PAUSING, VM_EV_DONE, VM_PAUSED},       {VM_PAUSING, VM_EV_FAILED, VM_RUNNING},
    {VM_PAUSING, VM_EV_GONE, VM_LOST},

    {VM_PAUSED, VM_EV_RESUME, VM_RESUMING},    {VM_PAUSED, VM_EV_SUSPEND, VM_SUSPENDING},
    {VM_PAUSED, VM_EV_STOP, VM_STOPPING},      {VM_PAUSED, VM_EV_DELETE, VM_DELETING},
    {VM_PAUSED, VM_EV_GONE, VM_LOST},

    {VM_SUSPENDING, VM_EV_DONE, VM_SUSPENDED}, {VM_SUSPENDING, VM_EV_FAILED, VM_RUNNING},
    {VM_SUSPENDING, VM_EV_GONE, VM_LOST},

    {VM_SUSPENDED, VM_EV_RESUME, VM_RESUMING}, {VM_SUSPENDED, VM_EV_DELETE, VM_DELETING},

    {VM_RESUMING, VM_EV_READY, VM_RUNNING},    {VM_RESUMING, VM_EV_FAILED, VM_SUSPENDED},
    {VM_RESUMING, VM_EV_GONE, VM_LOST},

    {VM_STOPPING, VM_EV_DONE, VM_STOPPED},     {VM_STOPPING, VM_EV_FAILED, VM_RUNNING},
    {VM_STOPPING, VM_EV_GONE, VM_STOPPED},     {VM_STOPPING, VM_EV_DELETE, VM_DELETING},

    {VM_STOPPED, VM_EV_START, VM_STARTING},    {VM_STOPPED, VM_EV_DELETE, VM_DELETING},

    {VM_DELETING, VM_EV_DONE, VM_DELETED},     {VM_DELETING, VM_EV_GONE, VM_DELETING},

    {VM_LOST, VM_EV_START, VM_STARTING},       {VM_LOST, VM_EV_DELETE, VM_DELETING},
};

static const struct transition *find(enum vm_state state, enum vm_event event)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].from == state && table[i].event == event)
            return &table[i];
    }
    return NULL;
}

bool lifecycle_allows(enum vm_state state, enum vm_event event)
{
    return find(state, event) != NULL;
}

int lifecycle_move(enum vm_state *state, enum vm_event event, const char *what, struct err *e)
{
    const struct transition *t = find(*state, event);
    if (!t)
        return err_set(e, ERR_CONFLICT, "vm %s is %s and cannot %s now", what,
                       lifecycle_state_name(*state), lifecycle_event_name(event));
    *state = t->to;
    return 0;
}

const char *lifecycle_state_name(enum vm_state state)
{
    return (unsigned)state < VM_STATE_COUNT ? state_names[state] : "unknown";
}

const char *lifecycle_event_name(enum vm_event event)
{
    return (unsigned)event < VM_EVENT_COUNT ? event_names[event] : "unknown";
}

bool lifecycle_state_parse(const char *name, enum vm_state *ret)
{
    for (int s = 0; s < VM_STATE_COUNT; s++) {
        if (strcmp(state_names[s], name) == 0) {
            *ret = (enum vm_state)s;
            return true;
        }
    }
    return false;
}

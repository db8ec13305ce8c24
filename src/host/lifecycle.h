/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one life cycle of a VM, as a table. A state names what is legal in it:
 *
 *   building    its disk is being made; nothing runs
 *   starting    a monitor is being started, from a kernel or a template; no agent yet
 *   running     the agent has answered; programs run
 *   pausing     between running and paused
 *   paused      the monitor holds it still, in memory
 *   suspending  its memory and disk are being saved
 *   suspended   saved; no monitor
 *   resuming    on the way back to running, from paused or suspended
 *   stopping    its system is shutting down
 *   stopped     off; the disk stays
 *   deleting    being removed; nothing else is legal any more
 *   deleted     gone; only its record is left
 *   lost        its monitor ended by itself; only deleting (or starting anew, with what the disk
 * has) is legal
 *
 * An illegal move changes nothing and is ERR_CONFLICT. Pure: no lock, any thread. */

#include <stdbool.h>

#include "base/err.h"

enum vm_state {
    VM_BUILDING,
    VM_STARTING,
    VM_RUNNING,
    VM_PAUSING,
    VM_PAUSED,
    VM_SUSPENDING,
    VM_SUSPENDED,
    VM_RESUMING,
    VM_STOPPING,
    VM_STOPPED,
    VM_DELETING,
    VM_DELETED,
    VM_LOST,
    VM_STATE_COUNT,
};

enum vm_event {
    VM_EV_START,   /* asked to start */
    VM_EV_READY,   /* the agent has answered */
    VM_EV_PAUSE,   /* asked to pause */
    VM_EV_SUSPEND, /* asked to suspend */
    VM_EV_RESUME,  /* asked to go on */
    VM_EV_STOP,    /* asked to shut down */
    VM_EV_DONE,    /* what was under way has been done */
    VM_EV_FAILED,  /* what was under way failed; the VM is as before it */
    VM_EV_DELETE,  /* asked to go */
    VM_EV_GONE,    /* the monitor has ended by itself */
    VM_EVENT_COUNT,
};

/* Moves *state by `event`; `what` names the VM in the error text. */
int lifecycle_move(enum vm_state *state, enum vm_event event, const char *what, struct err *e);

/* Whether the move is legal. */
bool lifecycle_allows(enum vm_state state, enum vm_event event);

const char *lifecycle_state_name(enum vm_state state);
/* Back from a name; false when there is no such state. */
bool lifecycle_state_parse(const char *name, enum vm_state *ret);
const char *lifecycle_event_name(enum vm_event event);

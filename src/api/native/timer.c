/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/timer.h"

#include "base/limits.h"

const char *const timer_actions[] = {
    [VM_ACTION_PAUSE - 1] = "pause", [VM_ACTION_SUSPEND - 1] = "suspend",
    [VM_ACTION_STOP - 1] = "stop",   [VM_ACTION_DELETE - 1] = "delete",
    [VM_ACTION_DELETE] = NULL,
};

const struct field timer_request[] = {
    {"seconds", FIELD_INTEGER, FIELD_REQUIRED, offsetof(struct timer_input, seconds), .min = 1,
     .max = VM_TIMER_MAX_S, .doc = "After so long"},
    {"action", FIELD_CHOICE, FIELD_REQUIRED, offsetof(struct timer_input, action),
     .choices = timer_actions, .doc = "this happens"},
    {0},
};

struct vm_timer timer_of(const struct timer_input *in)
{
    if (!in->given.is_given || in->given.is_null)
        return (struct vm_timer){0};
    return (struct vm_timer){.seconds = in->seconds, .action = (enum vm_action)(in->action + 1)};
}

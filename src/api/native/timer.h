/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* {"seconds", "action"}: TTL and idle policy in requests. */

#include "api/field.h"
#include "host/vms.h"

struct timer_input {
    struct field_given given;
    int64_t seconds;
    int action; /* index of timer_actions */
};

extern const struct field timer_request[];
extern const char *const timer_actions[]; /* enum vm_action without the first */

/* None when it was not given, or null. */
struct vm_timer timer_of(const struct timer_input *in);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long a slow agent is silent: HOLM_FAKE_SLOW is a number of milliseconds or the path of a file
 * that will appear; 500 ms when it is not set. */

#include <stdbool.h>
#include <stdint.h>

struct slow {
    const char *path; /* NULL: until the time below */
    int64_t until_us;
};

void slow_start(struct slow *s);
bool slow_is_over(const struct slow *s);
/* When to ask again, by clock_mono_us. */
int64_t slow_due_us(const struct slow *s);

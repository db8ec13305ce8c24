/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Time. Monotonic for durations and deadlines, real time only for what people read. Any thread. */

#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
int64_t clock_real_ns(void);

/* Milliseconds left until a clock_mono_ms deadline, for poll(): never negative, at most INT_MAX; -1
 * (for ever) when the deadline is 0. */
int clock_left_ms(int64_t deadline_ms);

#define CLOCK_RFC3339_SIZE 32

/* Writes real time as RFC 3339 in UTC with milliseconds, e.g. 2024-02-29T12:00:00.123Z. */
void clock_rfc3339(int64_t real_ns, char ret[CLOCK_RFC3339_SIZE]);

/* The reverse, of any RFC 3339 time from 1970 to 2200 ("T" may be a space), or of a date alone,
 * which begins in UTC. -EINVAL: it is none. */
int clock_parse_rfc3339(const char *text, int64_t *ret_real_ns);

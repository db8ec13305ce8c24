/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Quantities as people write and read them. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

#define UNITS_SIZE 32

/* "0 B", "512 B", "1.5 KiB", "24 MiB": three digits at most. */
void units_bytes(double bytes, char ret[UNITS_SIZE]);

/* The two largest of days, hours, minutes, seconds: "45s", "2h 5m", "3d 1h". */
void units_duration(int64_t seconds, char ret[UNITS_SIZE]);

/* "90", "45s", "1h30m", "2d", "1w": whole numbers with units s, m, h, d, w; a bare number is
 * seconds. ERR_INVALID says how to write one. At least 1 s. */
int units_parse_duration(const char *text, int64_t *ret_seconds, struct err *e);

/* DURATION[:ACTION] of a TTL or idle policy as the API has it: {"seconds", "action"}. The action is
 * pause when it is not given. `name` is the option's, for errors. */
int units_parse_timer(const char *text, const char *name, json_t **ret, struct err *e);

/* The time of an RFC 3339 text in UTC as ms since 1970; -1 when it is none. */
int64_t units_parse_time_ms(const char *text);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How far a copy has come, in the progress line. Thread: the main one. */

#include <stdint.h>

#include "cli/cli.h"

struct cp_meter {
    struct cli *cli;
    const char *what; /* the name that is shown; borrowed */
    int64_t start_ms;
    int64_t done;
};

void cp_meter_init(struct cp_meter *m, struct cli *cli, const char *what);

/* To be told by api_request.moved. */
void cp_meter_moved(struct cp_meter *m, int64_t done, int64_t total);

/* "1.2 GiB in 9.8 s (125 MiB/s)" */
void cp_meter_result(const struct cp_meter *m, char *ret, size_t size);

/* A line about it: "NAME ████████░░░░ 42% 120 MiB of 285 MiB 95 MiB/s 2s". Pure. */
struct cp_meter_state {
    const char *what;
    int64_t done, total; /* total -1: not known */
    int64_t elapsed_ms;
    bool utf8;
};
void cp_meter_line(const struct cp_meter_state *s, char *ret, size_t size);

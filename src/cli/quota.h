/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Quotas of accounts: what each is called on the command line, in the API, and how it is shown.
 * Thread: the main one. */

#include <jansson.h>

#include "cli/options.h"
#include "cli/term.h"

/* Rows of the options that set one each; 0 is no bound. */
#define QUOTA_OPTIONS                                                        \
    {.name = "vcpu",                                                         \
     .value = "COUNT",                                                       \
     .doc = "CPUs of all its VMs that run or are paused; 0: no bound"},      \
        {.name = "memory", .value = "GIB", .doc = "Their memory"},           \
        {.name = "disk", .value = "GIB", .doc = "The disks of all its VMs"}, \
    {                                                                        \
        .name = "snapshots", .value = "COUNT", .doc = "Its snapshots"        \
    }

/* What those options say, as the API has it; an empty object when none was given. */
int quota_gather(const struct options *o, json_t *quotas, struct err *e);

/* A table of usage and limits; either may be NULL. */
void quota_print(const struct term *t, const json_t *usage, const json_t *limits);

/* One of them as a cell: "2 of 8", "1.5 GiB of 16 GiB", "2" without a limit. */
void quota_text(const json_t *usage, const json_t *limits, const char *key, char *ret, size_t size);

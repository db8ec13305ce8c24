/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What all VMs use at one moment, and between two. Thread: the main one. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/cli.h"

struct top_vm {
    json_t *vm;                /* as the daemon tells it */
    json_t *stats;             /* likewise; NULL: it uses nothing now, or has gone meanwhile */
    double cpu_percent;        /* of one CPU, since the sample before; -1: not known */
    double rx_per_s, tx_per_s; /* bytes; -1: not known */
};

struct top_sample {
    struct top_vm *vms;
    size_t n;
    int64_t at_ms;
};

/* Asks the daemon. `before` is the sample to compare with; NULL: none. */
int top_sample_take(struct api_client *c, const struct top_sample *before, struct top_sample *ret,
                    struct err *e);
void top_sample_done(struct top_sample *s);

/* The share of the time that passed, from two readings of a counter; -1 when it went back, as it
 * does when the VM was started anew. Pure. */
double top_rate(double before, double now, int64_t elapsed_ms);

/* By what it is sorted; most first, names from A. */
enum top_order { TOP_CPU, TOP_MEMORY, TOP_DISK, TOP_NETWORK, TOP_AGE, TOP_NAME, TOP_ORDERS };
void top_sample_sort(struct top_sample *s, enum top_order order);

/* "cpu", "memory", ...; TOP_ORDERS when it is none. */
extern const char *const top_order_names[TOP_ORDERS];
enum top_order top_order_find(const char *name);

/* A number of the statistics; 0 when there is none. */
double top_number(const struct top_vm *v, const char *key);

/* The table, one row a VM. */
void top_print(const struct term *t, const struct top_sample *s);

/* "3 VMs, 2 running, 12% CPU, 300 MiB" */
void top_summary(const struct top_sample *s, char *ret, size_t size);

/* A list: each VM's object with "stats" and "cpuPercent". */
json_t *top_json(const struct top_sample *s);

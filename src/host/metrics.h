/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Counters of the host. Fields are atomic: any thread adds, no lock. */

#include <stdatomic.h>
#include <stdint.h>

/* Upper bounds of the histograms' buckets, in ms; one more bucket holds the rest. */
#define METRICS_BUCKETS 12
extern const int metrics_bucket_ms[METRICS_BUCKETS];

struct histogram {
    atomic_ulong bucket[METRICS_BUCKETS + 1];
    atomic_ulong sum_us;
};

struct metrics {
    atomic_ulong runs_ok, runs_timed_out, runs_failed, runs_refused, runs_cancelled;
    atomic_ulong pool_hits, pool_misses;
    atomic_ulong runs_warm; /* taken over by a runtime that waited */
    atomic_ulong vms_started, vms_failed, vms_ended, vms_adopted, vms_reaped;
    struct histogram load, exec, restore;
};

void histogram_add(struct histogram *h, int64_t us);

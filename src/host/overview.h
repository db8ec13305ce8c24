/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How this machine is doing, for dashboards. Any thread. */

#include <stdint.h>

#include "base/err.h"

struct host;

struct host_overview {
    int vms_active; /* VMs that run or are paused; VMs of the pool do not count */
    int vms_total;
    int snapshots;
    int images;    /* images that can be launched */
    int templates; /* captured images */
    int cpus;
    double cpu_used;           /* CPUs that were busy, over the last seconds: 0 to cpus */
    int64_t memory_used_bytes; /* of the machine, not only Holm's */
    int64_t memory_capacity_bytes;
    int64_t memory_promised_bytes; /* to VMs */
    int64_t storage_used_bytes;    /* of the file system that has the data directory */
    int64_t storage_capacity_bytes;
    int64_t storage_holm_bytes; /* what Holm has there, by blocks; looked at once a minute */
    int64_t started_ns;         /* the daemon, since 1970 */
};

/* `account` NULL: everyone's VMs and snapshots are counted. */
int host_overview(struct host *h, const char *account, struct host_overview *ret, struct err *e);

/* --- for the host's own files: host->overview --- */

struct overview;

/* Its thread looks at the data directory: before what is in it is taken down. */
int overview_new(struct host *h, struct overview **ret, struct err *e);
void overview_free(struct overview *o); /* NULL is fine */

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the parts of the qemu engine share. Everything in struct qemu but the sums is written
 * once by init and only read afterwards, so any thread may. */

#include "engine/engine.h"
#include "engine/qemu/accel.h"
#include "engine/qemu/cgroup.h"
#include "engine/qemu/manifest.h"
#include "engine/qemu/qmp.h"
#include "engine/qemu/sums.h"

struct qemu {
    char binary[PATH_MAX]; /* absolute */
    char version[96];      /* "7.2.22 (Debian ...)" */
    char fingerprint[MANIFEST_FINGERPRINT_SIZE];
    struct accel accel;
    struct cgroup_host cgroups;
    struct sums sums; /* has a lock of its own */
};

/* Connects to a VM's monitor. When the monitor has ended the error tells its last words. */
int qemu_connect(const struct monitor *m, struct qmp *ret, struct err *e);

/* The rest of the operations, each in a file of its own. */
int capture_run(struct engine *en, const struct monitor *m, const char *out_dir,
                enum capture_kind kind, struct capture_times *ret, struct err *e);
int stats_read(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
               struct err *e);
int facts_list(struct engine *en, struct engine_fact *ret, int max);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the fake engine share: fake.c (the engine itself, the end of a VM),
 * fake_start.c (boot, restore), fake_run.c (a running one), fake_capture.c (templates). Any thread.
 */

#include <limits.h>

#include "engine/engine.h"
#include "engine/fake/faults.h"

struct fake {
    struct faults faults;
    char program[PATH_MAX];
    char fingerprint[64];
};

int fake_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e);
int fake_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e);

int fake_pause(struct engine *en, const struct monitor *m, struct err *e);
int fake_resume(struct engine *en, const struct monitor *m, struct err *e);
int fake_flatten(struct engine *en, const struct monitor *m, struct err *e);
int fake_resize_disk(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e);
int fake_power_button(struct engine *en, const struct monitor *m, struct err *e);
int fake_state(struct engine *en, const struct monitor *m, enum monitor_state *ret, struct err *e);
int fake_stats(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
               struct err *e);
int fake_connect_agent(struct engine *en, const struct monitor *m, struct err *e);
int fake_connect_console(struct engine *en, const struct monitor *m, struct err *e);

int fake_capture(struct engine *en, const struct monitor *m, const char *out_dir,
                 enum capture_kind kind, struct capture_times *ret, struct err *e);
/* Whether a machine of this shape can be restored from the template: ERR_CONFLICT for a foreign or
 * damaged one, as from the real engine. */
int fake_check_template(const struct fake *f, const struct vm_spec *spec, struct err *e);

/* -ESRCH: the monitor has ended. Otherwise a pidfd. */
int fake_open_process(const struct monitor *m);
/* The same for those who need it to run: ERR_UNAVAILABLE. */
int fake_open_running(const struct monitor *m, struct err *e);
int fake_kill_process(const struct monitor *m, struct err *e);

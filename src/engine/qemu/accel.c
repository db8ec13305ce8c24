/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/proc.h"

/* A million turns take about 1 ms on hardware, over 1000 ms where they are emulated. */
#define GOOD_LOOP_US 50000

static void measure(const char *helper_dir, struct accel *a)
{
    char program[PATH_MAX];
    auto_buf struct buf out = {0};
    struct err why = ERR_INIT;
    int r = path_printf(program, sizeof(program), "%s/holm-kvm-probe", helper_dir);
    const char *const argv[] = {program, NULL};
    if (r == 0)
        r = proc_run(argv, ENGINE_KVM_PROBE_MS, &out, &why);
    long us = r == 0 ? atol(buf_str(&out)) : -1;
    a->kvm = us >= 0 && us < GOOD_LOOP_US;
    if (us >= 0)
        snprintf(a->reason, sizeof(a->reason),
                 "a loop of 1,000,000 in guest kernel mode took %ld us", us);
    else if (why.class == ERR_TIMEOUT)
        snprintf(a->reason, sizeof(a->reason),
                 "KVM emulates guest kernel code: a loop of 1,000,000 took longer than %d ms",
                 ENGINE_KVM_PROBE_MS);
    else
        snprintf(a->reason, sizeof(a->reason), "the KVM probe failed: %.150s", why.text);
}

int accel_choose(const char *wish, const char *helper_dir, struct accel *ret, struct err *e)
{
    struct accel a = {.device = access("/dev/kvm", R_OK | W_OK) == 0};
    if (strcmp(wish, "tcg") == 0) {
        snprintf(a.reason, sizeof(a.reason), "the configuration says tcg");
    } else if (strcmp(wish, "kvm") == 0) {
        if (!a.device)
            return err_set(e, ERR_UNAVAILABLE, "accelerator kvm is configured but /dev/kvm: %s",
                           strerror(errno));
        a.kvm = true;
        snprintf(a.reason, sizeof(a.reason), "the configuration says kvm");
    } else if (strcmp(wish, "auto") != 0) {
        return err_set(e, ERR_INVALID, "accelerator \"%.32s\" is none of auto, kvm, tcg", wish);
    } else if (!a.device) {
        snprintf(a.reason, sizeof(a.reason), "/dev/kvm cannot be opened: %s", strerror(errno));
    } else {
        measure(helper_dir, &a);
    }
    *ret = a;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which accelerator to use, by measuring. /dev/kvm may exist and be unusable: some nested KVMs run
 * guest user code at full speed but emulate guest kernel code, a thousand times slower, and a stock
 * kernel never finishes booting. holm-kvm-probe runs a counted loop in 64-bit kernel mode and tells
 * how long it took. */

#include <stdbool.h>

#include "base/err.h"

struct accel {
    bool kvm;
    bool device;      /* /dev/kvm is there */
    char reason[192]; /* why this one, a sentence without full stop */
};

/* Decides once. `wish` is "auto", "kvm" or "tcg"; ERR_INVALID for another word, ERR_UNAVAILABLE
 * when "kvm" is forced and there is none at all. Takes up to ENGINE_KVM_PROBE_MS. */
int accel_choose(const char *wish, const char *helper_dir, struct accel *ret, struct err *e);

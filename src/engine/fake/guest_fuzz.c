/* SPDX-License-Identifier: Apache-2.0 */

/* A saved guest is refused, or it is saved again as the same and runs. */

#include <stdlib.h>
#include <string.h>

#include "engine/fake/guest.h"
#include "engine/fake/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest g = {0}, again = {0};
    struct err e = ERR_INIT;
    auto_buf struct buf saved = {0};
    if (guest_load(&g, data, size, &e) < 0) {
        if (g.vars.n || e.class == ERR_NONE)
            abort();
        return 0;
    }
    if (guest_save(&g, &saved) < 0 || guest_load(&again, saved.data, saved.len, &e) < 0)
        abort();
    if (vars_hash(&again.vars, 0) != vars_hash(&g.vars, 0) || strcmp(again.boot_id, g.boot_id) != 0)
        abort();
    guest_done(&again);
    /* Whatever it is, it goes on. */
    for (int i = 0; i < 3; i++) {
        guest_skip(&g, -60000000);
        guest_wake(&g);
        programs_settle(&g, i > 0);
    }
    guest_done(&g);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* A saved disk is refused, or it is saved again as the same files. */

#include <stdlib.h>
#include <string.h>

#include "engine/fake/disk.h"
#include "engine/fake/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct files f = {0}, again = {0};
    struct disk_shape s = {0}, s2 = {0};
    struct err e = ERR_INIT;
    auto_buf struct buf given = {0};
    auto_buf struct buf saved = {0};
    buf_append(&given, data, size);
    if (disk_load(&s, &f, &given, &e) < 0) {
        if (f.list || s.layers || e.class == ERR_NONE)
            abort();
        return 0;
    }
    if (disk_save(&s, &f, &saved) < 0 || disk_load(&s2, &again, &saved, &e) < 0)
        abort();
    if (files_hash(&f, NULL, PACK_HASH_START) != files_hash(&again, NULL, PACK_HASH_START) ||
        memcmp(&s, &s2, sizeof(s)) != 0)
        abort();
    files_done(&f);
    files_done(&again);
    return 0;
}

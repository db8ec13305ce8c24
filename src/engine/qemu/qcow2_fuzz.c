/* SPDX-License-Identifier: Apache-2.0 */

/* The header of a disk layer with any content: it is refused, or names a backing file within
 * bounds, of which only plain layer names are understood. */

#include <stdlib.h>
#include <string.h>

#include "engine/qemu/layers.h"
#include "engine/qemu/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qcow2_info info;
    struct err e = ERR_INIT;
    int number;
    if (qcow2_parse(data, size, &info, &e) < 0)
        return 0;
    if (info.disk_bytes == 0 || strlen(info.backing) > QCOW2_BACKING_MAX_BYTES)
        abort();
    if (layers_parse_name(info.backing, &number) && (number < 0 || strchr(info.backing, '/')))
        abort();
    return 0;
}

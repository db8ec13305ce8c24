/* SPDX-License-Identifier: Apache-2.0 */

/* template.json with any content: it is parsed or refused, and what is accepted is within bounds.
 */

#include <stdlib.h>

#include "base/limits.h"
#include "engine/qemu/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest m;
    struct err e = ERR_INIT;
    if (manifest_parse((const char *)data, size, &m, &e) == 0 &&
        (m.shape.vcpus < 1 || m.chain.n < 2 || m.chain.n > ENGINE_LAYERS_MAX + 1 ||
         m.n_files != m.chain.n + 2 + 2 * m.delta))
        abort();
    return 0;
}

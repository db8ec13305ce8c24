/* SPDX-License-Identifier: Apache-2.0 */

/* What a monitor may send: any bytes, in two pieces. */

#include "engine/qemu/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf in = {.max_bytes = 1 << 20};
    size_t first = size ? data[0] % size : 0;
    for (int i = 0; i < 2; i++) {
        buf_append(&in, data + (i ? first : 0), i ? size - first : first);
        for (;;) {
            json_t *m = NULL;
            int r = qmp_take_message(&in, &m);
            json_decref(m);
            if (r == -EAGAIN)
                break;
        }
    }
    return 0;
}

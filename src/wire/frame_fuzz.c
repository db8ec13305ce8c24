/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "base/limits.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decodes pieces of a size that the first byte says; pieces stay inside what was given. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct frame_decoder d = {0};
    struct frame_piece p;
    struct err e = ERR_INIT;
    static const char *const allowed[] = {FRAME_FROM_AGENT, FRAME_FROM_CLIENT, FRAME_FROM_JOB};
    size_t step = data[0] ? data[0] : size, left = 0;
    int r = 0;
    for (size_t at = 1; at < size && r >= 0; at += step) {
        struct frame_input in = {data + at, size - at < step ? size - at : step};
        const uint8_t *end = in.data + in.len;
        while ((r = frame_decode(&d, allowed[data[0] % 3], &in, &p, &e)) > 0) {
            assert(p.data >= data && p.data + p.len <= end && p.frame_len <= AGENT_FRAME_MAX_BYTES);
            left = (left ? left : p.frame_len) - p.len;
            assert(p.end == (left == 0));
        }
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "wire/exec_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted can be written and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    struct exec_spec spec, again;
    struct exec_exit x;
    struct err e = ERR_INIT;
    int64_t pid;
    if (exec_spec_decode(json, size, &spec, &e) == 0) {
        auto_buf struct buf out = {0};
        int r = exec_spec_encode(&spec, &out, &e);
        assert(r == 0);
        r = exec_spec_decode(out.data, out.len, &again, &e);
        assert(r == 0 || out.len > size); /* the longer form may pass the bound */
        if (r == 0)
            exec_spec_done(&again);
        exec_spec_done(&spec);
    }
    if (exec_exit_decode(json, size, &x, &e) == 0) {
        auto_buf struct buf out = {0};
        assert(x.code >= 0 && x.code <= 255 && x.wall_us >= 0);
        assert(exec_exit_encode(&x, &out) == 0);
        assert(exec_exit_decode(out.data, out.len, &x, &e) == 0);
    }
    if (exec_started_decode(json, size, &pid, &e) == 0)
        assert(pid > 0);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "wire/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted can be written, with nothing to be escaped, and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    struct agent_report report;
    struct restored_request request;
    struct err e = ERR_INIT;
    if (report_decode(json, size, &report, &e) == 0) {
        auto_buf struct buf out = {0};
        assert(report_encode(&report, &out) == 0);
        assert(report_decode(out.data, out.len, &report, &e) == 0);
    }
    if (report_restored_decode(json, size, &request, &e) == 0) {
        auto_buf struct buf out = {0};
        assert(report_restored_encode(&request, &out) == 0);
        assert(report_restored_decode(out.data, out.len, &request, &e) == 0);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "base/limits.h"
#include "wire/guest_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted can be written and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    struct guest_jobs jobs = {0}, again = {0};
    struct err e = ERR_INIT;
    if (guest_job_decode(json, size, &jobs, &e) == 0) {
        auto_buf struct buf out = {0};
        assert(jobs.n == 1 && exec_job_id_is_valid(jobs.items[0].id));
        assert(guest_job_encode(&jobs.items[0], &out) == 0);
        assert(guest_job_decode(out.data, out.len, &again, &e) == 0);
    }
    guest_jobs_done(&jobs);
    guest_jobs_done(&again);
    if (guest_jobs_decode(json, size, &jobs, &e) == 0)
        assert(jobs.n <= AGENT_JOBS_MAX);
    guest_jobs_done(&jobs);
    return 0;
}

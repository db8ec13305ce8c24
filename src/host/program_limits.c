/* SPDX-License-Identifier: Apache-2.0 */

/* What one program may use: what its request asks for, within what is configured. */

#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "host/config.h"
#include "host/program.h"

/* The bounds: where each is, in which unit it is configured, and how a request calls it. */
static const struct {
    const char *field;
    size_t asked, resolved, fallback, max;
    int64_t unit;
} rows[] = {
    {"limits.memory_mb", offsetof(struct run_limits, memory_bytes),
     offsetof(struct exec_limits, memory_bytes), offsetof(struct config, run_memory_mib),
     offsetof(struct config, run_memory_max_mib), MIB},
    {"limits.processes", offsetof(struct run_limits, processes),
     offsetof(struct exec_limits, processes), offsetof(struct config, run_processes),
     offsetof(struct config, run_processes_max), 1},
    {"limits.file_size_mb", offsetof(struct run_limits, file_bytes),
     offsetof(struct exec_limits, file_bytes), offsetof(struct config, run_file_mib),
     offsetof(struct config, run_file_max_mib), MIB},
    {"limits.output_kb", offsetof(struct run_limits, output_bytes),
     offsetof(struct exec_limits, output_bytes), offsetof(struct config, run_output_kib),
     offsetof(struct config, run_output_max_kib), KIB},
};

static int64_t number_at(const void *base, size_t offset)
{
    int64_t n;
    memcpy(&n, (const char *)base + offset, sizeof(n));
    return n;
}

static int64_t option_at(const struct config *c, size_t offset)
{
    int n;
    memcpy(&n, (const char *)c + offset, sizeof(n));
    return n;
}

int program_limits(const struct config *c, const struct run_request *rq, struct exec_limits *ret,
                   struct err *e)
{
    static const struct run_limits none = {0};
    const struct run_limits *asked = rq->limits ? rq->limits : &none;
    struct exec_limits made = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t n = number_at(asked, rows[i].asked), max = option_at(c, rows[i].max);
        if (max && n > max * rows[i].unit)
            return err_field(e, rows[i].field,
                             "%s is more than %lld, the most that is allowed here", rows[i].field,
                             (long long)max);
        if (!n)
            n = option_at(c, rows[i].fallback) * rows[i].unit;
        if (max && (!n || n > max * rows[i].unit))
            n = max * rows[i].unit;
        memcpy((char *)&made + rows[i].resolved, &n, sizeof(n));
    }
    if (rq->output)
        made.output_bytes = asked->output_bytes;
    *ret = made;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* GET /v1/vms/{id}/logs */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/text.h"
#include "base/clock.h"
#include "base/limits.h"

static const char *const types[] = {"firecracker.log", "firecracker.stdout.log",
                                    "firecracker.stderr.log", NULL};
static const enum vm_log logs[] = {VM_LOG_MONITOR, VM_LOG_STDOUT, VM_LOG_STDERR};

/* Text, so that the dialect's own words answer what is no type. */
struct logs_query {
    struct field_text type;
    int64_t tail;
};

static const struct logs_query logs_defaults = {.tail = RDS_LOG_LINES_DEFAULT};

static const struct field logs_query[] = {
    {"type", FIELD_TEXT, 0, offsetof(struct logs_query, type), .max_bytes = 64,
     .doc = "firecracker.log (the default): what Holm did with it; firecracker.stdout.log: its "
            "serial console; firecracker.stderr.log: what its monitor wrote"},
    {"tail", FIELD_INTEGER, 0, offsetof(struct logs_query, tail), .min = INT32_MIN,
     .max = INT32_MAX, .doc = "How many lines, the last ones; 1 to 1000, what is beyond is that"},
    {0},
};

static int find_type(const struct logs_query *q, size_t *ret, struct err *e)
{
    const char *word = q->type.len ? q->type.data : types[0];
    for (size_t i = 0; types[i]; i++) {
        if (strcmp(types[i], word) == 0) {
            *ret = i;
            return 0;
        }
    }
    return err_field(e, "type", "Invalid log type");
}

static json_t *lines_json(const struct buf *text)
{
    json_t *lines = json_array();
    const char *p = buf_str(text), *end = p + text->len;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t n = eol ? (size_t)(eol - p) : (size_t)(end - p);
        size_t shown = n && p[n - 1] == '\r' ? n - 1 : n;
        json_array_append_new(lines, text_json(p, shown));
        p += n + (eol != NULL);
    }
    return lines;
}

static void tail_done(struct vm_log_tail *t)
{
    buf_done(&t->text);
}

static int get_logs(struct request *rq, struct answer *ret, struct err *e)
{
    const struct logs_query *q = rq->query.data;
    char vm[ID_SIZE];
    CLEANUP(tail_done) struct vm_log_tail tail = {0};
    size_t type = 0;
    int64_t lines = q->tail < 1 ? 1 : q->tail < RDS_LOG_LINES_MAX ? q->tail : RDS_LOG_LINES_MAX;
    tail.lines = (size_t)lines;
    int r = rds_id(rq, 0, RDS_VM, vm, e);
    if (r == 0)
        r = find_type(q, &type, e);
    tail.which = logs[type];
    if (r == 0)
        r = rds_failed(host_vm_log(rq->host, rq->account, vm, &tail, e), RDS_VM, e);
    if (r < 0)
        return r;
    ret->json =
        json_pack("{s:s, s:o, s:b, s:o}", "type", types[type], "lines", lines_json(&tail.text),
                  "truncated", tail.has_more, "updatedAt", rds_time_json(clock_real_ns()));
    return ret->json ? 0 : -ENOMEM;
}

static const struct field logs_response[] = {
    {"type", FIELD_CHOICE, FIELD_REQUIRED, .choices = types, .doc = "As asked for"},
    {"lines", FIELD_TEXTS, FIELD_REQUIRED, .doc = "Without their ends"},
    {"truncated", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether there are more before"},
    {"updatedAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was read"},
    {0},
};

const struct route rds_log_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/vms/{id}/logs", "rdsGetVmLogs"),
        .handler = get_logs,
        .query = logs_query,
        .query_bytes = sizeof(struct logs_query),
        .query_defaults = &logs_defaults,
        .response = logs_response,
        .flags = ROUTE_ACCOUNT,
        .doc = "The last lines of a VM's logs",
    },
    {0},
};

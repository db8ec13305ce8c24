/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/report.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "wire/field.h"

static const struct field_range any_range = {INT64_MIN, INT64_MAX};
static const struct field_range positive_range = {0, INT64_MAX};

int report_encode(const struct agent_report *report, struct buf *out)
{
    /* version, boot_id and random hold no character that JSON would escape. */
    return buf_printf(
        out,
        "{\"agent\":\"%s\",\"protocol\":%d,\"boot_id\":\"%s\",\"uptime_ms\":%lld,"
        "\"real_time_ns\":%lld,\"init\":\"%s\",\"clock_step_ms\":%lld,"
        "\"reseeded\":%s,\"random\":\"%s\"}",
        report->version, report->protocol, report->boot_id, (long long)report->uptime_ms,
        (long long)report->real_time_ns, report->init == REPORT_INIT_AGENT ? "agent" : "image",
        (long long)report->clock_step_ms, report->reseeded ? "true" : "false", report->random);
}

/* Copies a string field of which every character is in `allowed` (NULL: printable ASCII without
 * quotes and backslashes), since it will stand in logs and answers. */
static int copy_str(json_t *obj, const char *name, const char *allowed, char *ret, size_t size,
                    struct err *e)
{
    const char *s;
    int r = field_str(obj, name, FIELD_REQUIRED, size - 1, &s, e);
    if (r < 0)
        return r;
    for (const char *p = s; *p; p++) {
        bool fine = allowed ? strchr(allowed, *p) != NULL
                            : *p >= ' ' && *p <= '~' && *p != '"' && *p != '\\';
        if (!fine)
            return err_field(e, name, "%s holds the character 0x%02x", name, (unsigned char)*p);
    }
    snprintf(ret, size, "%s", s);
    return 0;
}

static int decode_init(json_t *obj, enum report_init *ret, struct err *e)
{
    const char *init;
    int r = field_str(obj, "init", FIELD_REQUIRED, 16, &init, e);
    if (r < 0)
        return r;
    if (strcmp(init, "agent") != 0 && strcmp(init, "image") != 0)
        return err_field(e, "init", "init must be \"agent\" or \"image\"");
    *ret = strcmp(init, "agent") == 0 ? REPORT_INIT_AGENT : REPORT_INIT_IMAGE;
    return 0;
}

int report_decode(const char *json, size_t len, struct agent_report *ret, struct err *e)
{
    static const struct field_range protocol_range = {1, 1000};
    struct agent_report p = {0};
    int64_t protocol;
    auto_json json_t *obj = NULL;
    if (len > AGENT_REPORT_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a report of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    r = r < 0 ? r : copy_str(obj, "agent", NULL, p.version, sizeof(p.version), e);
    r = r < 0 ? r : field_int(obj, "protocol", FIELD_REQUIRED, protocol_range, &protocol, e);
    r = r < 0 ? r : copy_str(obj, "boot_id", "0123456789abcdef-", p.boot_id, sizeof(p.boot_id), e);
    r = r < 0 ? r : field_int(obj, "uptime_ms", FIELD_REQUIRED, positive_range, &p.uptime_ms, e);
    r = r < 0 ? r : field_int(obj, "real_time_ns", FIELD_REQUIRED, any_range, &p.real_time_ns, e);
    r = r < 0 ? r : decode_init(obj, &p.init, e);
    r = r < 0 ? r : field_int(obj, "clock_step_ms", FIELD_REQUIRED, any_range, &p.clock_step_ms, e);
    r = r < 0 ? r : field_bool(obj, "reseeded", FIELD_REQUIRED, &p.reseeded, e);
    r = r < 0 ? r : copy_str(obj, "random", "0123456789abcdef", p.random, sizeof(p.random), e);
    if (r < 0)
        return r;
    p.protocol = (int)protocol;
    *ret = p;
    return 0;
}

#define LOWER "0123456789abcdefghijklmnopqrstuvwxyz-"

bool report_id_is_valid(const char *id)
{
    size_t len = strspn(id, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return len > 0 && len <= REPORT_ID_MAX_BYTES && id[len] == '\0';
}

bool report_hostname_is_valid(const char *hostname)
{
    size_t len = strspn(hostname, LOWER);
    return len > 0 && len <= REPORT_HOSTNAME_MAX_BYTES && hostname[len] == '\0' &&
           hostname[0] != '-' && hostname[len - 1] != '-';
}

int report_restored_encode(const struct restored_request *request, struct buf *out)
{
    buf_printf(out, "{\"real_time_ns\":%lld,\"keep\":%s", (long long)request->real_time_ns,
               request->keep ? "true" : "false");
    if (request->id[0])
        buf_printf(out, ",\"id\":\"%s\"", request->id);
    if (request->hostname[0])
        buf_printf(out, ",\"hostname\":\"%s\"", request->hostname);
    buf_append_str(out, ",\"entropy\":\"");
    for (size_t i = 0; i < request->entropy_len; i++)
        buf_printf(out, "%02x", request->entropy[i]);
    return buf_append_str(out, "\"}");
}

static int decode_identity(json_t *obj, struct restored_request *ret, struct err *e)
{
    const char *id = NULL, *hostname = NULL;
    int r = field_str(obj, "id", FIELD_OPTIONAL, REPORT_ID_MAX_BYTES, &id, e);
    r = r < 0 ? r
              : field_str(obj, "hostname", FIELD_OPTIONAL, REPORT_HOSTNAME_MAX_BYTES, &hostname, e);
    if (r < 0)
        return r;
    if (id && !report_id_is_valid(id))
        return err_field(e, "id", "id must be 1 to %d characters of 0-9A-Za-z and -",
                         REPORT_ID_MAX_BYTES);
    if (hostname && !report_hostname_is_valid(hostname))
        return err_field(e, "hostname",
                         "hostname must be 1 to %d characters of 0-9a-z and, in between, -",
                         REPORT_HOSTNAME_MAX_BYTES);
    snprintf(ret->id, sizeof(ret->id), "%s", id ? id : "");
    snprintf(ret->hostname, sizeof(ret->hostname), "%s", hostname ? hostname : "");
    return 0;
}

int report_restored_decode(const char *json, size_t len, struct restored_request *ret,
                           struct err *e)
{
    static const char *const names[] = {"real_time_ns", "entropy", "keep", "id", "hostname", NULL};
    struct restored_request q = {0};
    const char *hex;
    auto_json json_t *obj = NULL;
    int r = field_parse(json, len, &obj, e);
    r = r < 0 ? r : field_only(obj, names, e);
    r = r < 0 ? r
              : field_int(obj, "real_time_ns", FIELD_REQUIRED, positive_range, &q.real_time_ns, e);
    r = r < 0 ? r : field_bool(obj, "keep", FIELD_OPTIONAL, &q.keep, e);
    r = r < 0 ? r : decode_identity(obj, &q, e);
    r = r < 0 ? r : field_str(obj, "entropy", FIELD_REQUIRED, 2 * sizeof(q.entropy), &hex, e);
    if (r < 0)
        return r;
    int n = field_hex(hex, q.entropy, sizeof(q.entropy));
    if (n < REPORT_ENTROPY_MIN_BYTES)
        return err_field(e, "entropy", "entropy must be hex of %d to %d bytes",
                         REPORT_ENTROPY_MIN_BYTES, REPORT_ENTROPY_MAX_BYTES);
    q.entropy_len = (size_t)n;
    *ret = q;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an agent says of itself (`GET /v1/ready`), and what it is told after a restore
 * (`POST /v1/restored`): values and their JSON. The report comes from a guest: hostile text. Any
 * thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define REPORT_PROTOCOL 1

/* Who is process 1 of the guest. */
enum report_init { REPORT_INIT_AGENT, REPORT_INIT_IMAGE };

struct agent_report {
    char version[64]; /* printable ASCII */
    int protocol;
    char boot_id[37]; /* of the guest kernel; clones of one snapshot share it */
    int64_t uptime_ms;
    int64_t real_time_ns;
    enum report_init init;
    int64_t clock_step_ms; /* how far the last `restored` moved the clock */
    bool reseeded;         /* the last `restored` reseeded the random generator */
    char random[33];       /* hex of 16 bytes drawn for this report */
};

int report_encode(const struct agent_report *report, struct buf *out);

/* Unknown fields are passed over, so that newer agents may tell more. */
int report_decode(const char *json, size_t len, struct agent_report *ret, struct err *e);

#define REPORT_ENTROPY_MIN_BYTES 32
#define REPORT_ENTROPY_MAX_BYTES 256
#define REPORT_ID_MAX_BYTES 64
#define REPORT_HOSTNAME_MAX_BYTES 63

struct restored_request {
    int64_t real_time_ns;
    uint8_t entropy[REPORT_ENTROPY_MAX_BYTES];
    size_t entropy_len;
    bool keep;                        /* programs of the session before go on */
    char id[REPORT_ID_MAX_BYTES + 1]; /* of [0-9A-Za-z-]; "": stays; likewise hostname */
    char hostname[REPORT_HOSTNAME_MAX_BYTES + 1]; /* of [0-9a-z-], none of these at an end */
};

/* Whether they may stand in a struct restored_request; "" may not. */
bool report_id_is_valid(const char *id);
bool report_hostname_is_valid(const char *hostname);

int report_restored_encode(const struct restored_request *request, struct buf *out);
int report_restored_decode(const char *json, size_t len, struct restored_request *ret,
                           struct err *e);

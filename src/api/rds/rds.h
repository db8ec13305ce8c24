/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The run-dat-sheesh dialect. docs/rds.md is its manual. Its rows stand in the files of what they
 * are about; their paths begin with /rds, which a listener that mounts the dialect leaves out. */

#include "api/request.h"
#include "api/route.h"
#include "host/vms.h"

extern const struct dialect rds_dialect;

/* Each ends with a row without path. */
extern const struct route rds_auth_routes[];
extern const struct route rds_admin_routes[];
extern const struct route rds_event_routes[];
extern const struct route rds_webhook_routes[];
extern const struct route rds_key_routes[];
extern const struct route rds_vm_routes[];
extern const struct route rds_log_routes[];
extern const struct route rds_exec_routes[];
extern const struct route rds_run_ts_routes[];
extern const struct route rds_snapshot_routes[];
extern const struct route rds_image_routes[];
extern const struct route rds_file_routes[];

/* What rows may fail with; ends with 0. */
extern const int rds_errors[];

/* What every row has. */
#define RDS_ROW(m, p, op) \
    .method = ROUTE_##m, .path = p, .operation = op, .dialect = &rds_dialect, .errors = rds_errors

/* {"message"} and, where one is at fault, "field". Of ERR_UNAUTHORIZED only "Invalid credentials"
 * keeps its words: all else is "Unauthorized". */
json_t *rds_error(const struct err *e);

/* --- ids: a prefix and a UUID on the wire --- */

enum rds_kind { RDS_VM, RDS_SNAPSHOT, RDS_IMAGE, RDS_WEBHOOK, RDS_KEY, RDS_KIND_COUNT };

#define RDS_VM_PREFIX "vm-"
#define RDS_SNAPSHOT_PREFIX "snap-"
#define RDS_IMAGE_PREFIX "img-"

/* A text as an id: with its kind's prefix or without. ERR_INVALID: it is none ("Invalid VM id");
 * ERR_NOT_FOUND: a UUID, but none of ours ("VM not found"). */
int rds_parse_id(const char *text, enum rds_kind kind, char ret[ID_SIZE], struct err *e);
/* The same of a parameter of the path. */
int rds_id(const struct request *rq, size_t param, enum rds_kind kind, char ret[ID_SIZE],
           struct err *e);
/* A JSON string of prefix and UUID; JSON null for "". */
json_t *rds_id_json(const char *prefix, const char *id);

/* Returns `r`; what the host did not find is told as "VM not found". */
int rds_failed(int r, enum rds_kind kind, struct err *e);

/* --- values --- */

json_t *rds_time_json(int64_t real_ns); /* RFC 3339; JSON null for 0 */

/* Of an image by its key (vm_info.image). */
json_t *rds_image_id_json(struct request *rq, const char *key);

/* The word for a state. */
const char *rds_state(enum vm_state state);

/* Returns `r`; an ERR_CONFLICT is told as "VM must be RUNNING to WHAT (state=STOPPED)", when it is
 * in another state now, and "VM not found" when there is none any more. What a guest did not find
 * stays in its words. */
int rds_not_running(struct request *rq, const char *vm, const char *what, int r, struct err *e);

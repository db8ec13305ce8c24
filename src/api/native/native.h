/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The native dialect: the FastVM API and Holm's extensions. docs/native.md is its manual. Its rows
 * stand in the files of what they are about. */

#include "api/request.h"
#include "api/route.h"
#include "api/uuid.h"
#include "host/accounts.h"
#include "host/vms.h"

extern const struct dialect native_dialect;

/* Each ends with a row without path. */
extern const struct route native_routes[]; /* healthz */
extern const struct route native_vm_routes[];
extern const struct route native_move_routes[];
extern const struct route native_exec_routes[];
extern const struct route native_job_routes[];
extern const struct route native_file_routes[];
extern const struct route native_staging_routes[];
extern const struct route native_snapshot_routes[];
extern const struct route native_key_routes[];
extern const struct route native_account_routes[];
extern const struct route native_image_routes[];
extern const struct route native_build_routes[];
extern const struct route native_remote_routes[];
extern const struct route native_console_routes[];

/* What rows of one thing may fail with; ends with 0. */
extern const int native_errors[];

/* What every row has. */
#define NATIVE_ROW(m, p, op)                                                     \
    .method = ROUTE_##m, .path = p, .operation = op, .dialect = &native_dialect, \
    .errors = native_errors

/* --- ids: UUIDs on the wire --- */

/* A parameter of the path as an id; what is no rendering of one is no thing's: ERR_NOT_FOUND. */
int native_id(const struct request *rq, size_t param, const char *noun, char ret[ID_SIZE],
              struct err *e);
/* The VM that a path begins with. */
int native_vm(const struct request *rq, char ret[ID_SIZE], struct err *e);
/* The same of a text; NULL and what is no id are ERR_NOT_FOUND too. */
int native_parse_id(const char *text, const char *noun, char ret[ID_SIZE], struct err *e);
/* A JSON string of the UUID; JSON null for "". */
json_t *native_id_json(const char *id);

/* An image in a request, by UUID or name, as host_image_get takes it. */
#define NATIVE_IMAGE_REF_SIZE 256
void native_image_ref(const char *text, char ret[NATIVE_IMAGE_REF_SIZE]);
/* An image in an answer, by its key: a UUID, or the name of a built-in one. */
json_t *native_image_json(const char *key);

/* --- values --- */

json_t *native_time_json(int64_t real_ns); /* RFC 3339; JSON null for 0 */
/* Whole GiB as an integer, others as a number with a fraction. */
json_t *native_gib_json(int64_t bytes);
int64_t native_round_up(double n);
int64_t native_gib_bytes(double gib); /* rounded up to a MiB */

/* Strings of a VM or command: the bounds of docs/native.md; `name` is the field's. */
int native_check_metadata(const char *name, json_t *object, struct err *e);
int native_check_env(const char *name, json_t *object, struct err *e);

/* A build, or what else is done in the background. */
struct build_info;
int native_build_answer(const struct build_info *b, struct answer *ret);
extern const struct field native_build_fields[];

/* {"id", "deleted"} */
int native_deleted(const char *id, bool deleted, struct answer *ret);
extern const struct field native_deleted_fields[];

/* --- the VM object --- */

/* Its status word. */
const char *native_status(enum vm_state state);
json_t *native_vm_json(const struct vm_info *v);
extern const struct field native_vm_fields[];
/* Answers with it and frees it. */
int native_vm_answer(struct vm_info *v, struct answer *ret);

/* A policy in a request is passed on as it is; the host says what is wrong with it. These describe
 * it. */
extern const struct field native_firewall_fields[];

/* "firewall.egress..." is "egress..." where the body is the policy. */
void native_strip_field(struct err *e, const char *prefix);

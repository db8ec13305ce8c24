/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request to the fake guest's agent; what its handlers share. Thread: the monitor's only one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/fake/guest.h"
#include "wire/agent_server.h"
#include "wire/exec_spec.h"

#define CALL_STATUS_NO_SPACE 507

struct route;

struct call {
    struct guest *guest;
    struct agent_stream *stream;
    const struct route *route;
    struct buf body;
    char name[EXEC_JOB_ID_MAX_BYTES + 1]; /* the part of the path that the route leaves open */
    void *data;                           /* the handler's */
    bool refused;                         /* answered with an error, or reset */
};

void call_reply(struct call *c, int status, const char *json, size_t len);
/* `status` 0: by the error's class. */
void call_fail(struct call *c, int status, const struct err *e);
void call_abort(struct call *c);
/* Answers a negative errno of files.h. */
void call_fail_file(struct call *c, int r, const char *path);

/* A parameter of the query, decoded: 1, 0 when it is not given (`ret` stays), or ERR_INVALID. */
int call_param(const struct call *c, const char *name, char *ret, size_t size, struct err *e);
/* The same for a number. */
int call_number(const struct call *c, const char *name, int base, int64_t max, int64_t *ret,
                struct err *e);
/* ERR_INVALID for a parameter that is not in the NULL-terminated list. */
int call_params_only(const struct call *c, const char *const names[], struct err *e);

/* The agent_server's owner must be the guest. */
extern const struct agent_server_ops call_server_ops;

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request on its way through a handler. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/agent_server.h"

struct agent;
struct route;

struct call {
    struct agent *agent;
    struct agent_stream *stream;
    const struct route *route;
    struct buf body; /* of routes with `text`, complete when it is called */
    void *data;      /* the handler's */
    bool refused;    /* answered with an error: the rest of the body is thrown away */
};

#define CALL_STATUS_NO_SPACE 507

/* Answers with JSON text. */
void call_reply(struct call *c, int status, const char *json, size_t len);

/* Answers with an error; the status follows from its class, or is `status` when that is not 0. */
void call_fail(struct call *c, int status, const struct err *e);

/* The status for a negative errno of a file operation, 0 when its class says enough. Sets the
 * class of `e` and the sentence "<what>: <strerror>". */
int call_file_error(int r, const char *what, struct err *e);

/* Finds a query parameter and decodes it. 1: found; 0: not there; -EINVAL: badly encoded, too long
 * or with a NUL byte. */
int call_param(const struct call *c, const char *name, char *ret, size_t size, struct err *e);

/* Parameters that are numbers from 0 to `max`; *ret stays as it is when one is missing. */
int call_number(const struct call *c, const char *name, int64_t max, int64_t *ret, struct err *e);
int call_octal(const struct call *c, const char *name, int64_t max, int64_t *ret, struct err *e);

/* Fails for a parameter that is not in the NULL-terminated list. */
int call_params_only(const struct call *c, const char *const names[], struct err *e);

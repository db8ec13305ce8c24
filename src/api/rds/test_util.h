/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For the tests of the run-dat-sheesh dialect: a server over the stub host, and calls with the
 * admin's key. Any failure ends the test. */

#include "api/native/test_util.h"
#include "api/rds/rds.h"

#define RDS_CREATE "{\"cpu\":1,\"memMb\":256,\"allowIps\":[]}"
#define RDS_UNKNOWN "00000000-0000-8000-8000-000000000000"

/* A VM, a snapshot of it and an image of the admin's; there is another VM besides. */
struct rds_fixture {
    struct native *native;
    char vm[64], snapshot[64], image[64];
};

/* cmocka's setup and teardown. */
int rds_setup(void **state);
int rds_teardown(void **state);

/* One call of a path behind /rds, in which {vm}, {snap} and {img} are the fixture's. */
void rds_ask(struct rds_fixture *f, const struct call *c, struct reply *ret);

/* The reply is an error in these words, about this field ("": none). */
void rds_says(const struct reply *r, const char *message, const char *field);

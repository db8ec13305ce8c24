/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For the tests of the native dialect: a server whose keys are the stub host's, and calls with
 * them. Any failure ends the test. */

#include "api/api_test.h"
#include "api/native/native.h"

/* A server with one VM, its ids as UUIDs. */
struct native {
    struct test_server ts;
    char vm[UUID_SIZE]; /* the admin's, running */
};

/* cmocka's setup and teardown: *state is a struct native. */
int native_setup(void **state);
int native_teardown(void **state);

/* One call with a key (NULL: none); `body` JSON or NULL. Replaces what `ret` held. */
struct call {
    const char *method, *path, *body;
    const char *key;     /* NULL: the admin's; "": none */
    const char *headers; /* more lines, each with \r\n; NULL: none */
    int status;          /* expected; 0: any */
};
void native_call(struct native *n, const struct call *c, struct reply *ret);

/* The same with a path below the VM: "" or "/pause". */
void vm_call(struct native *n, const struct call *c, struct reply *ret);

/* A value of the reply's JSON by a path of names and numbers ("vm.ttl.seconds", "0.id"); fails when
 * it is not there. */
json_t *value_at(const json_t *json, const char *path);
const char *text_at(const struct reply *r, const char *path);
long long number_at(const struct reply *r, const char *path);
bool is_there(const struct reply *r, const char *key);

/* The reply is an error of this code, about this field ("": none). */
void assert_error(const struct reply *r, const char *code, const char *field);

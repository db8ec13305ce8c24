/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of commands write again and again. */

#include <jansson.h>

#include "base/test.h"
#include "cli/json.h"
#include "cli/test_server.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define REPLIES(...) ((const struct test_reply[]){__VA_ARGS__, {0}})

/* A GET that is answered with 200 and this JSON; a call with any method and status. */
#define OK(where, text)                                                  \
    {                                                                    \
        .path = where, .method = "GET", .status = 200, .steps = { text } \
    }
#define CALL(verb, where, code, text)                                    \
    {                                                                    \
        .path = where, .method = verb, .status = code, .steps = { text } \
    }

#define ID_A "3f2a0000-0000-4000-8000-00000000000a"
#define ID_B "3f2b0000-0000-4000-8000-00000000000b"
#define ID_C "77770000-0000-4000-8000-00000000000c"
#define VM_A "/v1/vms/" ID_A
#define VM_B "/v1/vms/" ID_B
#define VM_C "/v1/vms/" ID_C

/* Members of a VM; %s-free, so that they may be put together. */
#define VM(id, name, status, more)                                                            \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"status\":\"" status                           \
    "\",\"orgId\":\"o\",\"cpu\":1,"                                                           \
    "\"memoryMiB\":256,\"diskGiB\":2,\"createdAt\":\"2020-01-01T00:00:00Z\",\"machineType\":" \
    "\"c1m0.25\",\"sourceName\":\"bash\",\"metadata\":{\"job\":\"7\"},\"envVars\":{}" more "}"

/* lab and base, whose ids begin alike, and another base. */
#define VMS                                                                                     \
    OK("/v1/vms", "[" VM(ID_A, "lab", "running", "") "," VM(ID_B, "base", "paused", "") "," VM( \
                      ID_C, "base", "error", ",\"detail\":\"its monitor ended\"") "]")

/* Runs holm and compares all that came of it. */
void test_expect(const struct test_server *s, const char *const *argv, int code, const char *out,
                 const char *err);

/* The same for a part of what it says on stderr; stdout has to be empty. */
void test_expect_error(const struct test_server *s, const char *const *argv, int code,
                       const char *err);

void test_has(const struct buf *b, const char *text);

/* Runs it on a terminal of 80 columns, without colours, and appends everything that it shows, line
 * ends as \n. `input` is typed at once. Returns the exit code. */
int test_on_terminal(const struct test_server *s, const char *const *argv, const char *input,
                     struct buf *ret);

/* holm on a terminal of its own, to be talked to. */
struct test_tty {
    struct test_child child;
    int master;
    int slave; /* kept open, to see what became of the terminal */
};
void test_tty_start(const struct test_server *s, const char *const *argv, struct test_tty *ret);
void test_tty_type(struct test_tty *t, const char *text);

/* Reads until `text` is on the screen; what was shown is appended to `ret`. */
void test_tty_expect(struct test_tty *t, const char *text, struct buf *ret);

/* Waits for its end, checks that the terminal is not raw any more, and returns the exit code. */
int test_tty_end(struct test_tty *t);

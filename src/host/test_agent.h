/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests only: an agent in a thread of the test, on one end of a socket pair, built on the real
 * server side of the protocol. It runs no programs; what a spec's argv[0] says it does:
 *
 *   hello            "out1" on 1, "err" on 2, "out2" on 1, exit 0
 *   exit N           exit N
 *   cat              standard input on 1
 *   read PATH        a file that was put, on 1; without it exit 1
 *   flood MIB        that many MiB on 1
 *   hang             "begun" on 1, then nothing
 *   die              "begun" on 1, then the agent hangs up
 *   vanish           the answer ends without an exit frame
 *   garbage          a frame of no known type
 *   after            a frame after the exit frame
 *   refuse           404, before anything ran
 *
 * A file whose path has "full" in it is answered with 507, one with "mute" never. `accept` for port
 * 1 gives back what is sent, for port 2 it says "bye" and then only listens, for port 3 it says
 * nothing. `/v1/reset` is reset. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define TEST_AGENT_FILES_MAX 512

/* An answer to requests with this method whose path begins so. */
struct test_agent_answer {
    const char *method; /* NULL: the end of the list */
    const char *path;
    int status;
    const char *text;
    size_t len;        /* 0: all of `text` */
    int until_request; /* not to requests after that one, counted as in `requests`; 0: to all */
};

struct test_agent_options {
    const char *before; /* bytes to send before anything else, before_len */
    size_t before_len;
    int deaf_hellos;        /* the first hellos are answered only together with a later one */
    int64_t clock_off_ns;   /* what its clock is off after `restored` */
    bool no_reseed;         /* `restored` does not reseed */
    const char *bad_report; /* instead of a report */
    const struct test_agent_answer *answers; /* before anything else; NULL: none */
};

struct test_agent {
    struct test_agent_options options;
    int fd;
    pthread_t thread;
    _Atomic int requests;
    _Atomic int killed; /* execs that ended before their answer did */
    _Atomic int files;
    _Atomic int64_t heard;    /* bytes that came for port 2 */
    _Atomic int heard_to_end; /* how often until their end */
};

/* Starts it; returns the other end of the pair, which the caller owns. */
int test_agent_start(struct test_agent *a, const struct test_agent_options *options);

/* Ends it, wherever it is, and waits until it has. */
void test_agent_stop(struct test_agent *a);

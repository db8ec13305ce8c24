/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One event of a streamed execute or exec: a line of JSON whose "t" says what it is.
 *
 *   {"t":"o","d":BASE64}  {"t":"e","d":BASE64}      stdout, stderr
 *   {"t":"x","c":CODE?,"to":true?,"ms":N,"load_ms":N?,"signal":"SIGSEGV"?,"d":TEXT?}
 *       the program has ended, with 0 when there is no code; d: why it could not be started
 *   {"t":"error","error":TEXT,"status":HTTP STATUS}  there was no program to end
 *
 * Exactly one of the last two comes, last. Other kinds are for later servers, and skipped. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum event_kind { EVENT_OTHER, EVENT_OUT, EVENT_ERR, EVENT_EXIT, EVENT_ERROR };

struct event {
    enum event_kind kind;
    struct buf data; /* EVENT_OUT, EVENT_ERR */
    int exit_code;   /* EVENT_EXIT from here on */
    bool timed_out;
    double exec_ms;
    double load_ms;
    char signal[16];
    int status;      /* EVENT_ERROR */
    char error[512]; /* EVENT_ERROR, and EVENT_EXIT of a program that could not be started */
};

/* ERR_UNAVAILABLE when the line is not such an event. `ret` starts zeroed, or after event_done; it
 * is to be event_done in either case. Any thread. */
int event_parse(const char *line, size_t len, struct event *ret, struct err *e);
void event_done(struct event *ev);
#define auto_event CLEANUP(event_done)

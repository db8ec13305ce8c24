/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Structured log to stderr: one line an event, `LEVEL module message key=value ...`, one write(2) a
 * line, so that lines of many threads do not mix. Under systemd (JOURNAL_STREAM set) a <N> priority
 * goes before it and the time is left out, since the journal has one. Bytes below space are shown
 * as '?', so no guest or client can forge a line. Secrets are never passed in. Any thread; no lock.
 */

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below the level are dropped. Default: LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "debug" "info" "warn" "error"; false when it is none of these. */
bool log_parse_level(const char *s, enum log_level *ret);

void log_line(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(module, ...) log_line(LOG_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...) log_line(LOG_INFO, module, __VA_ARGS__)
#define log_warn(module, ...) log_line(LOG_WARN, module, __VA_ARGS__)
#define log_error(module, ...) log_line(LOG_ERROR, module, __VA_ARGS__)

/* For lines that a guest or a client can trigger: at most LOG_LIMIT_BURST lines per
 * LOG_LIMIT_INTERVAL_MS pass. Use `static struct log_limit limit;` beside the call: `if
 * (log_limit_pass(&limit)) log_warn(...)`. */
struct log_limit {
    _Atomic int64_t window_start_ms;
    _Atomic int passed;
};
bool log_limit_pass(struct log_limit *limit);

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

static _Atomic int min_level = LOG_INFO;

static const struct {
    const char *name;
    int syslog_priority;
} levels[] = {
    [LOG_DEBUG] = {"debug", 7},
    [LOG_INFO] = {"info", 6},
    [LOG_WARN] = {"warn", 4},
    [LOG_ERROR] = {"error", 3},
};

void log_set_level(enum log_level level)
{
    min_level = level;
}

enum log_level log_get_level(void)
{
    return (enum log_level)min_level;
}

bool log_parse_level(const char *s, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(levels[i].name, s) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
    if ((int)level < min_level)
        return;
    char line[LOG_LINE_MAX_BYTES];
    size_t room = sizeof(line) - 1; /* one byte for the final newline */
    int n;
    if (getenv("JOURNAL_STREAM")) {
        n = snprintf(line, room, "<%d>%s %s: ", levels[level].syslog_priority, levels[level].name,
                     module);
    } else {
        char when[CLOCK_RFC3339_SIZE];
        clock_rfc3339(clock_real_ns(), when);
        n = snprintf(line, room, "%s %s %s: ", when, levels[level].name, module);
    }
    size_t len = (size_t)n < room ? (size_t)n : room - 1;
    va_list ap;
    va_start(ap, fmt);
    n = vsnprintf(line + len, room - len, fmt, ap);
    va_end(ap);
    if (n > 0)
        len += (size_t)n < room - len ? (size_t)n : room - len - 1;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len++] = '\n';
    /* A full pipe or a closed stderr must not stop the daemon. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

bool log_limit_pass(struct log_limit *limit)
{
    int64_t now = clock_mono_ms(), start = limit->window_start_ms;
    if (now - start >= LOG_LIMIT_INTERVAL_MS &&
        __atomic_compare_exchange_n((int64_t *)&limit->window_start_ms, &start, now, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        limit->passed = 0;
    return limit->passed++ < LOG_LIMIT_BURST;
}

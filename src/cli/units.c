/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static const struct {
    char letter;
    int64_t seconds;
} spans[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

void units_bytes(double bytes, char ret[UNITS_SIZE])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;
    /* What would be shown as 1000 or more is shown in the next unit. */
    for (; bytes >= 999.5 && i + 1 < ARRAY_SIZE(names); i++)
        bytes /= 1024;
    bool has_fraction = i > 0 && bytes < 9.95;
    snprintf(ret, UNITS_SIZE, "%.*f %s", has_fraction ? 1 : 0, bytes, names[i]);
}

void units_duration(int64_t seconds, char ret[UNITS_SIZE])
{
    size_t first = 1; /* no weeks: ages in days are easier to compare */
    if (seconds < 0)
        seconds = 0;
    while (first + 1 < ARRAY_SIZE(spans) && seconds < spans[first].seconds)
        first++;
    int64_t n = seconds / spans[first].seconds, rest = seconds % spans[first].seconds;
    int len = snprintf(ret, UNITS_SIZE, "%lld%c", (long long)n, spans[first].letter);
    if (first + 1 < ARRAY_SIZE(spans) && rest / spans[first + 1].seconds)
        snprintf(ret + len, UNITS_SIZE - (size_t)len, " %lld%c",
                 (long long)(rest / spans[first + 1].seconds), spans[first + 1].letter);
}

static int64_t span_of(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
        if (spans[i].letter == letter)
            return spans[i].seconds;
    }
    return 0;
}

/* One number with its unit; moves `*at` behind it. False when there is none. */
static bool add_span(const char **at, int64_t *sum)
{
    char *end;
    errno = 0;
    if (**at < '0' || **at > '9')
        return false;
    long long n = strtoll(*at, &end, 10);
    int64_t span = *end ? span_of(*end) : 1, part;
    if (errno || !span || __builtin_mul_overflow(n, span, &part) ||
        __builtin_add_overflow(*sum, part, sum))
        return false;
    *at = end + (*end != '\0');
    return true;
}

int units_parse_duration(const char *text, int64_t *ret_seconds, struct err *e)
{
    int64_t sum = 0;
    const char *at = text;
    bool ok = *at != '\0';
    while (ok && *at)
        ok = add_span(&at, &sum);
    if (!ok || sum < 1)
        return err_set(e, ERR_INVALID, "'%.100s' is not a duration; write 45s, 10m, 1h30m, 2d",
                       text);
    *ret_seconds = sum;
    return 0;
}

int units_parse_timer(const char *text, const char *name, json_t **ret, struct err *e)
{
    static const char *const actions[] = {"pause", "suspend", "stop", "delete"};
    const char *colon = strchr(text, ':'), *action = colon ? colon + 1 : actions[0];
    auto_free char *span = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
    int64_t seconds = 0;
    bool ok = false;
    if (!span)
        return err_errno(e, -ENOMEM, "read %s", name);
    int r = units_parse_duration(span, &seconds, e);
    if (r < 0)
        return err_wrap(e, r, "%s", name);
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        ok = ok || !strcmp(action, actions[i]);
    if (!ok)
        return err_set(e, ERR_INVALID,
                       "%s: '%.100s' cannot be done then; it is one of pause, suspend, stop, "
                       "delete",
                       name, action);
    *ret = json_pack("{s:I, s:s}", "seconds", (json_int_t)seconds, "action", action);
    return 0;
}

int64_t units_parse_time_ms(const char *text)
{
    struct tm tm = {0};
    int ms = 0, len = 0;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return -1;
    if (*rest == '.') {
        if (sscanf(rest, ".%3d%n", &ms, &len) != 1)
            return -1;
        for (int digits = len - 1; digits < 3; digits++)
            ms *= 10;
        rest += 1 + strspn(rest + 1, "0123456789");
    }
    if (strcmp(rest, "Z") && strcmp(rest, "+00:00"))
        return -1;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

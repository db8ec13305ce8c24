/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_mono_us(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_ms(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_real_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

int clock_left_ms(int64_t deadline_ms)
{
    if (!deadline_ms)
        return -1;
    int64_t left = deadline_ms - clock_mono_ms();
    if (left < 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

void clock_rfc3339(int64_t real_ns, char ret[CLOCK_RFC3339_SIZE])
{
    time_t s = real_ns / 1000000000;
    struct tm tm;
    gmtime_r(&s, &tm);
    char day[24];
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret, CLOCK_RFC3339_SIZE, "%s.%03dZ", day, (int)(real_ns / 1000000 % 1000));
}

/* A number of so many digits from `min` to `max`; moves *p behind it. */
static bool take_number(const char **p, int digits, int min, int max, int *ret)
{
    int n = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (!isdigit((unsigned char)**p))
            return false;
        n = 10 * n + (**p - '0');
    }
    *ret = n;
    return n >= min && n <= max;
}

static bool take_char(const char **p, const char *any)
{
    for (; *any; any++) {
        if (**p == *any) {
            (*p)++;
            return true;
        }
    }
    return false;
}

/* Nanoseconds; digits beyond them are dropped. */
static bool take_fraction(const char **p, int64_t *ret)
{
    int64_t unit = 1000000000;
    *ret = 0;
    if (!take_char(p, "."))
        return true;
    if (!isdigit((unsigned char)**p))
        return false;
    for (; isdigit((unsigned char)**p); (*p)++) {
        unit /= 10;
        *ret += unit * (**p - '0');
    }
    return true;
}

/* "Z", "+02:00": seconds east of UTC. */
static bool take_zone(const char **p, int *ret)
{
    int sign = **p == '-' ? -1 : 1, hours, minutes;
    *ret = 0;
    if (take_char(p, "Zz"))
        return true;
    if (!take_char(p, "+-") || !take_number(p, 2, 0, 23, &hours) || !take_char(p, ":") ||
        !take_number(p, 2, 0, 59, &minutes))
        return false;
    *ret = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_date(const char **p, struct tm *tm)
{
    if (!take_number(p, 4, 1970, 2200, &tm->tm_year) || !take_char(p, "-") ||
        !take_number(p, 2, 1, 12, &tm->tm_mon) || !take_char(p, "-") ||
        !take_number(p, 2, 1, 31, &tm->tm_mday))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return true;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_real_ns)
{
    struct tm tm = {0};
    int zone = 0;
    int64_t ns = 0;
    if (!take_date(&text, &tm))
        return -EINVAL;
    int day = tm.tm_mday;
    if (*text && (!take_char(&text, "Tt ") || !take_number(&text, 2, 0, 23, &tm.tm_hour) ||
                  !take_char(&text, ":") || !take_number(&text, 2, 0, 59, &tm.tm_min) ||
                  !take_char(&text, ":") || !take_number(&text, 2, 0, 60, &tm.tm_sec) ||
                  !take_fraction(&text, &ns) || !take_zone(&text, &zone) || *text))
        return -EINVAL;
    bool leaps = tm.tm_sec == 60;
    tm.tm_sec -= leaps;
    int64_t s = timegm(&tm);
    if (tm.tm_mday != day) /* the 31st of April */
        return -EINVAL;
    *ret_real_ns = (s + leaps - zone) * 1000000000 + ns;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/slow.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define DEFAULT_MS 500
#define LOOK_EVERY_US 5000

void slow_start(struct slow *s)
{
    const char *text = getenv("HOLM_FAKE_SLOW");
    if (text && text[0] == '/') {
        s->path = text;
        return;
    }
    s->path = NULL;
    s->until_us = clock_mono_us() + (text ? strtol(text, NULL, 10) : DEFAULT_MS) * INT64_C(1000);
}

bool slow_is_over(const struct slow *s)
{
    return s->path ? access(s->path, F_OK) == 0 : clock_mono_us() >= s->until_us;
}

int64_t slow_due_us(const struct slow *s)
{
    return s->path ? clock_mono_us() + LOOK_EVERY_US : s->until_us;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cp_meter.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/units.h"

#define BAR_CHARS 16
#define RATE_AFTER_MS 500 /* before, it says nothing */

void cp_meter_init(struct cp_meter *m, struct cli *cli, const char *what)
{
    *m = (struct cp_meter){.cli = cli, .what = what, .start_ms = clock_mono_ms()};
}

static double rate_of(int64_t done, int64_t elapsed_ms)
{
    return (double)done * 1000 / (double)(elapsed_ms > 0 ? elapsed_ms : 1);
}

static void add_bar(struct buf *line, const struct cp_meter_state *s)
{
    int64_t full = s->total > 0 ? s->done * BAR_CHARS / s->total : BAR_CHARS;
    buf_append_str(line, s->utf8 ? " " : " [");
    for (int i = 0; i < BAR_CHARS; i++)
        buf_append_str(line, i < full ? (s->utf8 ? "█" : "#") : (s->utf8 ? "░" : "."));
    buf_printf(line, "%s %d%%", s->utf8 ? "" : "]",
               s->total > 0 ? (int)(s->done * 100 / s->total) : 100);
}

void cp_meter_line(const struct cp_meter_state *s, char *ret, size_t size)
{
    auto_buf struct buf line = {0};
    char done[UNITS_SIZE], total[UNITS_SIZE], text[UNITS_SIZE];
    double rate = rate_of(s->done, s->elapsed_ms);
    units_bytes((double)s->done, done);
    units_bytes((double)s->total, total);
    buf_append_str(&line, s->what);
    if (s->total >= 0)
        add_bar(&line, s);
    buf_printf(&line, s->total >= 0 ? " %s of %s" : " %s", done, total);
    if (s->elapsed_ms >= RATE_AFTER_MS && s->done > 0) {
        units_bytes(rate, text);
        buf_printf(&line, ", %s/s", text);
        units_duration((int64_t)((double)(s->total - s->done) / rate), text);
        if (s->total > s->done)
            buf_printf(&line, ", %s left", text);
    }
    snprintf(ret, size, "%s", buf_str(&line));
}

void cp_meter_moved(struct cp_meter *m, int64_t done, int64_t total)
{
    char line[256];
    m->done = done;
    if (!m->cli->err.tty)
        return;
    cp_meter_line(&(struct cp_meter_state){.what = m->what,
                                           .done = done,
                                           .total = total,
                                           .elapsed_ms = clock_mono_ms() - m->start_ms,
                                           .utf8 = m->cli->err.utf8},
                  line, sizeof(line));
    progress_set(&m->cli->progress, &m->cli->err, line);
}

void cp_meter_result(const struct cp_meter *m, char *ret, size_t size)
{
    int64_t ms = clock_mono_ms() - m->start_ms;
    char done[UNITS_SIZE], rate[UNITS_SIZE];
    units_bytes((double)m->done, done);
    units_bytes(rate_of(m->done, ms), rate);
    snprintf(ret, size, "%s in %.1f s (%s/s)", done, (double)ms / 1000, rate);
}

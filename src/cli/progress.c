/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

static const char *const frames_utf8[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
static const char *const frames_ascii[] = {"|", "/", "-", "\\"};

void progress_set(struct progress *p, const struct term *term, const char *text)
{
    auto_buf struct buf safe = {0};
    term_safe(&safe, text);
    snprintf(p->text, sizeof(p->text), "%s", buf_str(&safe));
    p->term = term;
    if (!p->start_ms)
        p->start_ms = clock_mono_ms();
}

static void draw(struct progress *p, int64_t now_ms)
{
    const struct term *t = p->term;
    const char *frame = t->utf8 ? frames_utf8[p->frame++ % ARRAY_SIZE(frames_utf8)]
                                : frames_ascii[p->frame++ % ARRAY_SIZE(frames_ascii)];
    char clock[32] = "";
    int64_t s = (now_ms - p->start_ms) / 1000;
    if (s > 0)
        snprintf(clock, sizeof(clock), " %llds", (long long)s);
    /* One line exactly: a wrapped one could not be erased. */
    size_t len, next;
    term_break(p->text, t->width - 3 - (int)strlen(clock), &len, &next);
    fprintf(t->file, "\r\033[K%s%s%s %.*s%s%s%s", term_on(t, STYLE_GOOD), frame,
            term_off(t, STYLE_GOOD), (int)len, p->text, term_on(t, STYLE_DIM), clock,
            term_off(t, STYLE_DIM));
    fflush(t->file);
    p->drawn_ms = now_ms;
    p->shown = true;
}

void progress_tick(struct progress *p)
{
    if (!p->start_ms || !p->term->tty)
        return;
    int64_t now_ms = clock_mono_ms();
    bool is_due = !p->shown || now_ms - p->drawn_ms >= PROGRESS_TICK_MS;
    if (is_due && now_ms - p->start_ms >= PROGRESS_DELAY_MS)
        draw(p, now_ms);
}

void progress_show(struct progress *p)
{
    if (p->start_ms && p->term->tty)
        draw(p, clock_mono_ms());
}

void progress_erase(struct progress *p)
{
    if (!p->shown)
        return;
    fputs("\r\033[K", p->term->file);
    fflush(p->term->file);
    p->shown = false;
}

void progress_stop(struct progress *p)
{
    progress_erase(p);
    p->start_ms = 0;
}

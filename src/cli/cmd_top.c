/* SPDX-License-Identifier: Apache-2.0 */

/* holm top. Live on a terminal, on its alternate screen, which leaves what was there before; one
 * table elsewhere. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/rawterm.h"
#include "cli/top_sample.h"

/* Alternate screen, no cursor, no wrapping: a line that is too long is cut. And back. */
#define SCREEN_ON "\033[?1049h\033[?25l\033[?7l"
#define SCREEN_OFF "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_LINES_DEFAULT 24
#define CTRL_C 3

struct top {
    struct cli_call *call;
    struct rawterm raw;
    struct top_sample now;
    enum top_order order;
    int interval_s;
    bool has_quit;
};

static void top_done(struct top *t)
{
    if (t->raw.is_raw) {
        fputs(SCREEN_OFF, t->call->cli->out.file);
        fflush(t->call->cli->out.file);
    }
    rawterm_leave(&t->raw);
    top_sample_done(&t->now);
}

/* The sample after the one there is. */
static int advance(struct top *t, struct err *e)
{
    struct top_sample next = {0};
    int r = top_sample_take(t->call->client, t->now.vms ? &t->now : NULL, &next, e);
    if (r < 0)
        return r;
    top_sample_done(&t->now);
    t->now = next;
    return 0;
}

/* Two samples, a moment apart: CPU time is only a number before. */
static int begin(struct top *t, struct err *e)
{
    int r = advance(t, e);
    if (r < 0)
        return r;
    if (interrupt_wait(&t->call->cli->interrupt, -1, 0, CLI_TOP_FIRST_MS) == -ECANCELED)
        return -ECANCELED;
    return advance(t, e);
}

/* ---- once ---- */

static int print_once(struct top *t, struct err *e)
{
    struct cli *cli = t->call->cli;
    int r = begin(t, e);
    if (r < 0)
        return r;
    top_sample_sort(&t->now, t->order);
    progress_stop(&cli->progress);
    if (options_has(t->call->o, "json")) {
        auto_json json_t *list = top_json(&t->now);
        cli_print_json(cli, list);
    } else {
        top_print(&cli->out, &t->now);
    }
    return 0;
}

/* ---- live ---- */

/* The whole picture in one write, so that it does not flicker: each line erases what stood behind
 * it, and the last what stands below. */
static void draw(struct top *t)
{
    const struct term *term = &t->call->cli->out;
    struct term page = *term;
    int rows = SCREEN_LINES_DEFAULT, cols = term->width, line = 0;
    char *text = NULL, summary[100], *save = NULL;
    size_t len = 0;
    (void)rawterm_size(&t->raw, &rows, &cols);
    page.width = 0; /* nothing is wrapped */
    page.file = open_memstream(&text, &len);
    if (!page.file)
        return;
    top_summary(&t->now, summary, sizeof(summary));
    fprintf(page.file, "%sholm top%s  %s\n", term_on(term, STYLE_BOLD), term_off(term, STYLE_BOLD),
            summary);
    fprintf(page.file, "%sby %s; c m d n a: by CPU, memory, disk, network, age; q quits%s\n",
            term_on(term, STYLE_DIM), top_order_names[t->order], term_off(term, STYLE_DIM));
    top_print(&page, &t->now);
    fclose(page.file);
    fputs("\033[H", term->file);
    for (char *l = strtok_r(text, "\n", &save); l && line < rows; l = strtok_r(NULL, "\n", &save))
        fprintf(term->file, "%s%s\033[K", line++ ? "\n" : "", l);
    fputs("\033[J", term->file);
    fflush(term->file);
    free(text);
}

static void take_key(struct top *t)
{
    static const char orders[TOP_ORDERS] = {
        [TOP_CPU] = 'c',     [TOP_MEMORY] = 'm', [TOP_DISK] = 'd',
        [TOP_NETWORK] = 'n', [TOP_AGE] = 'a',    [TOP_NAME] = 'N'};
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        t->has_quit = true;
    for (ssize_t i = 0; i < n; i++) {
        const char *order = memchr(orders, keys[i], sizeof(orders));
        if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == CTRL_C)
            t->has_quit = true;
        else if (order)
            t->order = (enum top_order)(order - orders);
    }
}

/* Until the next sample is due; keys and sizes are heard meanwhile. */
static int wait_for_next(struct top *t, struct err *e)
{
    struct cli *cli = t->call->cli;
    int64_t until_ms = clock_mono_ms() + t->interval_s * 1000LL;
    while (!t->has_quit && clock_left_ms(until_ms) > 0) {
        struct pollfd p[] = {{.fd = cli->interrupt.fd, .events = POLLIN},
                             {.fd = t->raw.resized_fd, .events = POLLIN},
                             {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(p, 3, clock_left_ms(until_ms)) < 0 && errno != EINTR)
            return err_errno(e, -errno, "wait for a key");
        if (interrupt_signal(&cli->interrupt))
            return -ECANCELED;
        bool is_changed = rawterm_was_resized(&t->raw);
        if (p[2].revents) {
            take_key(t);
            is_changed = true;
        }
        if (is_changed && !t->has_quit) {
            top_sample_sort(&t->now, t->order);
            draw(t);
        }
    }
    return 0;
}

static int watch(struct top *t, struct err *e)
{
    struct cli *cli = t->call->cli;
    int r = begin(t, e);
    progress_stop(&cli->progress);
    api_client_set_progress(t->call->client, NULL);
    if (r < 0)
        return r;
    r = rawterm_enter(&t->raw, STDIN_FILENO, true);
    if (r < 0)
        return err_errno(e, r, "set up the terminal");
    fputs(SCREEN_ON, cli->out.file);
    while (r == 0 && !t->has_quit) {
        top_sample_sort(&t->now, t->order);
        draw(t);
        r = wait_for_next(t, e);
        if (r == 0 && !t->has_quit)
            r = advance(t, e);
    }
    return r;
}

static int top(struct cli_call *call, struct err *e)
{
    const struct options_range interval = {.min = 1, .max = 3600, .fallback = 2};
    struct top CLEANUP(top_done) t = {.call = call, .raw.resized_fd = -1};
    const char *order = options_value(call->o, "sort");
    int r = options_number(call->o, "interval", &interval, &t.interval_s, e);
    if (r < 0)
        return r;
    t.order = order ? top_order_find(order) : TOP_CPU;
    if (t.order == TOP_ORDERS)
        return err_set(e, ERR_INVALID,
                       "--sort takes cpu, memory, disk, network, age or name, not '%.100s'", order);
    bool is_live = call->cli->out.tty && isatty(STDIN_FILENO) && !options_has(call->o, "json");
    return is_live ? watch(&t, e) : print_once(&t, e);
}

const struct cli_command cmd_top = {
    .name = "top",
    .summary = "Watch what the VMs use",
    .usage = (const char *const[]){"top [--sort KEY] [--interval SECONDS] [--json]", NULL},
    .details = "A table that is kept up to date: CPU in percent of one, memory and disk that are "
               "the VM's own share of the host's, network traffic a second. The keys c, m, d, n, a "
               "and N change what it is sorted by; q quits. Without a terminal it is printed once.",
    .options =
        (const struct option_row[]){
            {.name = "sort",
             .letter = 's',
             .value = "KEY",
             .doc = "cpu (default), memory, disk, network, age or name"},
            {.name = "interval",
             .letter = 'i',
             .value = "SECONDS",
             .doc = "How often it is brought up to date (default: 2)"},
            {.name = "json", .doc = "Print it once as JSON: the VMs with stats and cpuPercent"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm top", "All of your VMs."},
            {"holm top --json | jq '.[] | [.name, .cpuPercent]'", "For scripts."},
            {0},
        },
    .call = top,
    .doing = "taking a sample",
};

/* SPDX-License-Identifier: Apache-2.0 */

/* Output goes out by write(2), not stdio: byte for byte, in the order of the events, and with
 * back-pressure. While the reader of our stdout does not read, nothing is read from the daemon, and
 * the daemon stops reading from the guest. */

#include "cli/run_output.h"

#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/json.h"

static int write_out(struct run_output *out, int fd, const char *data, size_t len, struct err *e)
{
    if (!len || (fd == STDERR_FILENO && out->stderr_closed))
        return 0;
    /* From its first byte on the terminal is the program's. */
    progress_stop(&out->cli->progress);
    out->any = true;
    int r = interrupt_write(&out->cli->interrupt, fd, data, len);
    if (r == -EPIPE && fd == STDERR_FILENO) {
        out->stderr_closed = true;
        return 0;
    }
    if (r == -EPIPE || r == -ECANCELED || r == 0)
        return r;
    return err_errno(e, r, "write to standard %s", fd == STDERR_FILENO ? "error" : "output");
}

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
    struct run_output *out = arg;
    if (out->last.kind != EVENT_OTHER)
        return err_set(e, ERR_UNAVAILABLE, "the daemon went on after the end of the program");
    auto_event struct event ev = {0};
    int r = event_parse(line, len, &ev, e);
    if (r < 0)
        return r;
    switch (ev.kind) {
    case EVENT_OUT:
        return write_out(out, STDOUT_FILENO, buf_str(&ev.data), ev.data.len, e);
    case EVENT_ERR:
        return write_out(out, STDERR_FILENO, buf_str(&ev.data), ev.data.len, e);
    case EVENT_EXIT:
    case EVENT_ERROR:
        out->last = ev;
        ev = (struct event){0};
        break;
    case EVENT_OTHER:
        break;
    }
    return 0;
}

void run_output_init(struct run_output *out, struct cli *cli)
{
    *out = (struct run_output){.cli = cli};
    out->lines = (struct ndjson){.max_bytes = CLI_EVENT_MAX_BYTES, .line_fn = on_line, .arg = out};
}

int run_output_data(void *arg, const char *data, size_t len, struct err *e)
{
    struct run_output *out = arg;
    return ndjson_feed(&out->lines, data, len, e);
}

/* "125ms" as the specification has it. */
static double parse_ms(const json_t *answer, const char *key)
{
    return strtod(json_text(answer, key), NULL);
}

static int write_member(struct run_output *out, int fd, const json_t *answer, const char *key,
                        struct err *e)
{
    const json_t *v = json_object_get(answer, key);
    return write_out(out, fd, json_text(answer, key), json_string_length(v), e);
}

int run_output_whole(struct run_output *out, const json_t *answer, struct err *e)
{
    const json_t *code = json_object_get(answer, "exit_code");
    if (!json_is_integer(code))
        return err_set(e, ERR_UNAVAILABLE, "the answer has no exit code; is it from a holmd?");
    out->last = (struct event){
        .kind = EVENT_EXIT,
        .exit_code = (int)(json_integer_value(code) & 0xff),
        .timed_out = json_is_true(json_object_get(answer, "timed_out")),
        .exec_ms = parse_ms(answer, "exec_time"),
        .load_ms = parse_ms(answer, "load_time"),
    };
    int r = write_member(out, STDOUT_FILENO, answer, "stdout", e);
    return r < 0 ? r : write_member(out, STDERR_FILENO, answer, "stderr", e);
}

int run_output_end(struct run_output *out, struct err *e)
{
    int r = ndjson_end(&out->lines, e);
    if (r < 0 || out->last.kind != EVENT_OTHER)
        return r;
    return err_set(e, ERR_UNAVAILABLE,
                   "the daemon's answer ended before the program did; its log says more");
}

void run_output_done(struct run_output *out)
{
    ndjson_done(&out->lines);
    event_done(&out->last);
}

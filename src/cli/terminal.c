/* SPDX-License-Identifier: Apache-2.0 */

/* One loop: what is typed goes to the VM, what the VM says to stdout, a new size goes as a message,
 * and a signal ends it. While much that was typed is still unsent, or stdout takes nothing, nothing
 * more is read; so neither side makes us hold much. */

#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/api_answer.h"
#include "cli/json.h"
#include "cli/rawterm.h"
#include "cli/vm_call.h"
#include "cli/websocket.h"

#define QUIT_KEY 0x1d      /* Ctrl-] */
#define END_OF_FILE "\004" /* what a terminal takes for the end of its input: Ctrl-D */
#define END_AGAIN_MS 300
#define UNSENT_MAX_BYTES (64 << 10)

enum mode { MODE_SHELL, MODE_CONSOLE, MODE_FOLLOW };

struct terminal {
    struct cli_call *call;
    struct websocket *ws;
    struct rawterm raw;
    enum mode mode;
    bool input_ended;
    bool has_quit;
};

/* ---- connecting ---- */

static int open_socket(struct cli_call *call, const char *path, struct websocket **ret,
                       struct err *e)
{
    struct api_client *client = NULL;
    int r = cli_connect(call->cli, "connecting", &client, e);
    return r < 0 ? r : websocket_open(client, &call->cli->interrupt, path, ret, e);
}

static int connect_terminal(struct cli_call *call, const struct ref_found *vm, const json_t *what,
                            struct websocket **ret, struct err *e)
{
    auto_json json_t *token = NULL;
    char path[VM_PATH_SIZE], target[512];
    vm_call_path(vm, "/console-token", path);
    struct api_call rq = {.method = "POST", .path = path, .body = what};
    int r = api_client_call(call->client, &rq, &token, NULL, e);
    if (r < 0)
        return r;
    const char *where = json_text(token, "websocketPath"), *session = json_text(token, "token");
    if (*where != '/' || !*session || strpbrk(where, " \r\n") || strpbrk(session, " \r\n&#") ||
        snprintf(target, sizeof(target), "%s?session=%s", where, session) >= (int)sizeof(target))
        return err_set(e, ERR_UNAVAILABLE, "%s names no WebSocket to connect to; is it a holmd?",
                       api_client_url(call->client));
    return open_socket(call, target, ret, e);
}

/* ---- the loop ---- */

static int on_output(void *arg, const char *data, size_t len, struct err *e)
{
    struct terminal *t = arg;
    int r = interrupt_write(&t->call->cli->interrupt, STDOUT_FILENO, data, len);
    if (r == 0 || r == -EPIPE || r == -ECANCELED)
        return r;
    return err_errno(e, r, "write to standard output");
}

static void send_size(struct terminal *t)
{
    char text[80];
    int rows, cols;
    if (t->mode != MODE_SHELL || !rawterm_size(&t->raw, &rows, &cols))
        return;
    snprintf(text, sizeof(text), "{\"type\":\"resize\",\"cols\":%d,\"rows\":%d}", cols, rows);
    (void)websocket_send(t->ws, true, text, strlen(text));
}

/* A terminal forgets the key when it comes while a shell goes from one mode to another, as it does
 * before and after every command. So it is pressed again, while nothing else happens. */
static void say_end(struct terminal *t)
{
    if (t->mode == MODE_SHELL && t->input_ended)
        (void)websocket_send(t->ws, false, END_OF_FILE, 1);
}

/* Where the keys go. A key that quits is ours only where a person presses it. */
static void take_input(struct terminal *t)
{
    char keys[4096];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        t->input_ended = true;
        say_end(t);
        return;
    }
    const char *quit =
        t->mode == MODE_CONSOLE && t->raw.is_raw ? memchr(keys, QUIT_KEY, (size_t)n) : NULL;
    size_t len = quit ? (size_t)(quit - keys) : (size_t)n;
    if (len)
        (void)websocket_send(t->ws, false, keys, len);
    t->has_quit = quit != NULL;
}

static bool wants_input(const struct terminal *t)
{
    return t->mode != MODE_FOLLOW && !t->input_ended && websocket_queued(t->ws) < UNSENT_MAX_BYTES;
}

/* Waits for any of it, and does what has to be done. */
static int turn(struct terminal *t, struct err *e)
{
    struct pollfd p[] = {
        {.fd = t->call->cli->interrupt.fd, .events = POLLIN},
        {.fd = t->raw.resized_fd, .events = POLLIN},
        {.fd = wants_input(t) ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = websocket_fd(t->ws), .events = websocket_events(t->ws)},
    };
    int patience_ms = t->input_ended && t->mode == MODE_SHELL ? END_AGAIN_MS : -1;
    bool has_more = websocket_has_more(t->ws);
    int n = poll(p, 4, has_more ? 0 : patience_ms);
    if (n < 0 && errno != EINTR)
        return err_errno(e, -errno, "wait for the terminal");
    if (n == 0 && !has_more && websocket_queued(t->ws) == 0)
        say_end(t);
    if (interrupt_signal(&t->call->cli->interrupt))
        return -ECANCELED;
    if (rawterm_was_resized(&t->raw))
        send_size(t);
    if (p[2].revents)
        take_input(t);
    return websocket_step(t->ws, e);
}

/* As the command ended: "exit 7". */
static int finish_shell(struct terminal *t, int code, const char *reason, struct err *e)
{
    int exit_code;
    if (code == 1000 && sscanf(reason, "exit %d", &exit_code) == 1) {
        t->call->code = exit_code & 0xff;
        return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "the terminal was closed%s%.200s", *reason ? ": " : "",
                   reason);
}

static int finish_console(int code, const char *reason, struct err *e)
{
    if (code == 1000)
        return 0;
    return err_set(e, ERR_UNAVAILABLE, "the console was closed%s%.200s", *reason ? ": " : "",
                   reason);
}

static int converse(struct terminal *t, struct err *e)
{
    const char *reason;
    int code, r = 0;
    while (r == 0 && !t->has_quit && !websocket_is_over(t->ws, &code, &reason))
        r = turn(t, e);
    if (r < 0 || t->has_quit)
        return r;
    return t->mode == MODE_SHELL ? finish_shell(t, code, reason, e)
                                 : finish_console(code, reason, e);
}

/* Borrows `ws`. */
static int run(struct cli_call *call, struct websocket *ws, enum mode mode, struct err *e)
{
    struct terminal t = {.call = call, .ws = ws, .mode = mode, .raw.resized_fd = -1};
    websocket_set(ws, &(struct websocket_config){.data = on_output, .arg = &t});
    progress_stop(&call->cli->progress);
    if (mode == MODE_CONSOLE && call->cli->err.tty)
        fprintf(call->cli->err.file, "holm: Ctrl-] quits\n");
    int r = mode == MODE_FOLLOW ? 0 : rawterm_enter(&t.raw, STDIN_FILENO, false);
    if (r < 0)
        err_errno(e, r, "set up the terminal");
    send_size(&t);
    if (r == 0)
        r = converse(&t, e);
    rawterm_leave(&t.raw);
    /* What comes next stands on a line of its own. */
    if (mode == MODE_CONSOLE && call->cli->out.tty)
        fprintf(call->cli->out.file, "\n");
    return r;
}

/* ---- what it is used for ---- */

/* A terminal's request knows neither cwd nor env; so a shell of the VM sets them first. */
static json_t *wrap_command(const json_t *exec)
{
    const char *cwd = json_text(exec, "cwd"), *name;
    json_t *command = json_array(), *value;
    if (json_object_size(json_object_get(exec, "env"))) {
        json_array_append_new(command, json_string("env"));
        json_object_foreach(json_object_get(exec, "env"), name, value)
            json_array_append_new(command, json_sprintf("%s=%s", name, json_string_value(value)));
    }
    if (*cwd) {
        json_array_append_new(command, json_string("sh"));
        json_array_append_new(command, json_string("-c"));
        json_array_append_new(command, json_string("cd -- \"$0\" && exec \"$@\""));
        json_array_append_new(command, json_string(cwd));
    }
    json_array_extend(command, json_object_get(exec, "command"));
    return command;
}

int terminal_shell(struct cli_call *call, const struct ref_found *vm, const json_t *exec,
                   struct err *e)
{
    auto_websocket struct websocket *ws = NULL;
    auto_json json_t *what = json_pack("{s:s}", "kind", "shell");
    json_t *user = json_object_get(exec, "user");
    if (json_array_size(json_object_get(exec, "command")))
        json_object_set_new(what, "command", wrap_command(exec));
    if (user)
        json_object_set(what, "user", user);
    int r = connect_terminal(call, vm, what, &ws, e);
    return r < 0 ? r : run(call, ws, MODE_SHELL, e);
}

static int connect_console(struct cli_call *call, const struct ref_found *vm,
                           struct websocket **ret, struct err *e)
{
    auto_json json_t *what = json_pack("{s:s}", "kind", "serial");
    return connect_terminal(call, vm, what, ret, e);
}

int terminal_console(struct cli_call *call, const struct ref_found *vm, struct err *e)
{
    auto_websocket struct websocket *ws = NULL;
    int r = connect_console(call, vm, &ws, e);
    return r < 0 ? r : run(call, ws, MODE_CONSOLE, e);
}

int terminal_follow(struct cli_call *call, const struct ref_found *vm,
                    int (*before)(struct cli_call *call, const struct ref_found *vm, struct err *e),
                    struct err *e)
{
    auto_websocket struct websocket *ws = NULL;
    int r = connect_console(call, vm, &ws, e);
    if (r == 0)
        r = before(call, vm, e);
    return r < 0 ? r : run(call, ws, MODE_FOLLOW, e);
}

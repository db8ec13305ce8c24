/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/script.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "wire/frame.h"

#define HELLO "Hello, World!"
#define SIGKILL_NUMBER 9
#define FLOOD_STEP_BYTES ((int64_t)AGENT_FRAME_MAX_BYTES)

struct script {
    struct exec_spec spec;
    struct files *files;
    char *text;        /* the program, a copy: the file may be replaced while it runs */
    const char *next;  /* the line to run */
    char *const *args; /* those behind the program's name */
    struct buf out;    /* frames not pulled yet */
    struct buf in;     /* standard input not read yet */
    bool in_ended;
    bool copying; /* in `cat` */
    bool ended;   /* the exit frame is in `out` */
    bool wants_death;
    int64_t flood_left;
    int64_t start_us;
    int64_t sleep_until_us; /* 0: not asleep */
    int64_t stdout_bytes;
    int64_t stderr_bytes;
};

static void emit(struct script *s, enum frame_type type, const void *data, size_t len)
{
    const char *p = data;
    s->stdout_bytes += type == FRAME_STDOUT ? (int64_t)len : 0;
    s->stderr_bytes += type == FRAME_STDERR ? (int64_t)len : 0;
    while (len) {
        uint8_t head[FRAME_HEADER_BYTES];
        size_t n = len < AGENT_FRAME_MAX_BYTES ? len : AGENT_FRAME_MAX_BYTES;
        frame_header(head, type, n);
        (void)buf_append(&s->out, head, sizeof(head));
        (void)buf_append(&s->out, p, n);
        p += n;
        len -= n;
    }
}

static void print(struct script *s, enum frame_type type, const char *text)
{
    auto_buf struct buf line = {0};
    if (buf_printf(&line, "%s\n", text) == 0)
        emit(s, type, line.data, line.len);
}

static void finish(struct script *s, int code, int signal, bool timed_out, int64_t now_us)
{
    struct exec_exit x = {.code = signal ? 128 + signal : code & 255,
                          .signal = signal,
                          .timed_out = timed_out,
                          .wall_us = now_us - s->start_us,
                          .stdout_bytes = s->stdout_bytes,
                          .stderr_bytes = s->stderr_bytes};
    auto_buf struct buf text = {0};
    if (s->ended)
        return;
    if (exec_exit_encode(&x, &text) == 0)
        emit(s, FRAME_EXIT, text.data, text.len);
    s->ended = true;
}

/* The name as seen from the program's directory. */
static int absolute(const struct script *s, const char *name, char ret[PATH_MAX])
{
    const char *cwd = s->spec.cwd ? s->spec.cwd : "/";
    if (name[0] == '/')
        return path_printf(ret, PATH_MAX, "%s", name);
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    return path_printf(ret, PATH_MAX, "%s%s%s", cwd, cwd[strlen(cwd) - 1] == '/' ? "" : "/", name);
}

static const char *find_file(const struct script *s, const char *name, size_t *ret_len)
{
    char path[PATH_MAX];
    return absolute(s, name, path) < 0 ? NULL : files_find(s->files, path, ret_len);
}

/* Sets `text` and `args`; false when no argument is a file. */
static bool find_program(struct script *s)
{
    for (char **a = s->spec.argv; *a; a++) {
        size_t len;
        const char *text = find_file(s, *a, &len);
        if (!text)
            continue;
        s->text = strdup(text);
        s->next = s->text;
        s->args = a + 1;
        return s->text != NULL;
    }
    return false;
}

int script_new(struct files *files, struct exec_spec *spec, int64_t now_us, struct script **ret)
{
    struct script *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct script){.spec = *spec, .files = files, .start_us = now_us, .next = ""};
    *spec = (struct exec_spec){0};
    s->in_ended = !s->spec.has_stdin;
    auto_buf struct buf started = {0};
    if (exec_started_encode(2, &started) == 0)
        emit(s, FRAME_STARTED, started.data, started.len);
    if (strcmp(s->spec.argv[0], "true") == 0 || strcmp(s->spec.argv[0], "false") == 0) {
        finish(s, s->spec.argv[0][0] == 'f', 0, false, now_us);
    } else if (!find_program(s)) {
        print(s, FRAME_STDERR, "no such program");
        finish(s, 127, 0, false, now_us);
    }
    *ret = s;
    return 0;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    exec_spec_done(&s->spec);
    free(s->text);
    buf_done(&s->out);
    buf_done(&s->in);
    free(s);
}

int script_stdin(struct script *s, const void *data, size_t len)
{
    s->in.max_bytes = FILES_BYTES_MAX;
    return s->ended ? 0 : buf_append(&s->in, data, len);
}

void script_stdin_end(struct script *s)
{
    s->in_ended = true;
}

void script_signal(struct script *s, int signal)
{
    /* None of these programs catches anything. */
    if (signal > 0 && signal < 65)
        finish(s, 0, signal, false, s->start_us);
}

/* --- The lines --- */

static void do_print(struct script *s, const char *rest)
{
    print(s, FRAME_STDOUT, rest);
}

static void do_eprint(struct script *s, const char *rest)
{
    print(s, FRAME_STDERR, rest);
}

static void do_cat(struct script *s, const char *rest)
{
    s->copying = true;
}

static void do_args(struct script *s, const char *rest)
{
    for (char *const *a = s->args; *a; a++)
        print(s, FRAME_STDOUT, *a);
}

static void do_env(struct script *s, const char *rest)
{
    size_t len = strlen(rest);
    for (char **v = s->spec.env; v && *v; v++)
        if (strncmp(*v, rest, len) == 0 && (*v)[len] == '=')
            print(s, FRAME_STDOUT, *v + len + 1);
}

static void do_file(struct script *s, const char *rest)
{
    size_t len;
    const char *data = find_file(s, rest, &len);
    if (data)
        emit(s, FRAME_STDOUT, data, len);
    else
        print(s, FRAME_STDERR, "no such file");
}

static void do_put(struct script *s, const char *rest)
{
    char name[PATH_MAX], path[PATH_MAX];
    size_t len = strcspn(rest, " ");
    const char *text = rest[len] ? rest + len + 1 : "";
    if (path_printf(name, sizeof(name), "%.*s", (int)len, rest) < 0 ||
        absolute(s, name, path) < 0 || files_put(s->files, path, text, strlen(text), NULL) < 0)
        print(s, FRAME_STDERR, "cannot put that file");
}

static void do_flood(struct script *s, const char *rest)
{
    s->flood_left = atoll(rest);
}

static void do_die(struct script *s, const char *rest)
{
    s->wants_death = true;
}

static const struct {
    const char *word;
    void (*run)(struct script *s, const char *rest);
} words[] = {
    {"print", do_print}, {"eprint", do_eprint}, {"cat", do_cat},     {"args", do_args},
    {"env", do_env},     {"file", do_file},     {"put", do_put},     {"flood", do_flood},
    {"die", do_die},
};

static void run_line(struct script *s, const char *line, int64_t now_us)
{
    size_t len = strcspn(line, " ");
    const char *rest = line[len] ? line + len + 1 : "";
    /* A line with the greeting is somebody's hello program, even one that begins with `print`. */
    if (strstr(line, HELLO) && (strpbrk(line, "('\"") || !strstr(line, "print"))) {
        print(s, FRAME_STDOUT, HELLO);
        return;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].word) == len && strncmp(words[i].word, line, len) == 0) {
            words[i].run(s, rest);
            return;
        }
    }
    if (strcmp(line, "hang") == 0)
        s->sleep_until_us = INT64_MAX;
    else if (strncmp(line, "sleep ", 6) == 0)
        s->sleep_until_us = now_us + atoll(rest) * 1000;
    else if (strncmp(line, "exit ", 5) == 0)
        finish(s, atoi(rest), 0, false, now_us);
    else if (strncmp(line, "signal ", 7) == 0)
        finish(s, 0, atoi(rest) & 127, false, now_us);
}

static void next_line(struct script *s, int64_t now_us)
{
    if (!*s->next) {
        finish(s, 0, 0, false, now_us);
        return;
    }
    size_t len = strcspn(s->next, "\n");
    auto_free char *line = strndup(s->next, len);
    s->next += len + (s->next[len] == '\n');
    if (line)
        run_line(s, line, now_us);
}

static void copy_input(struct script *s)
{
    if (s->in.len)
        emit(s, FRAME_STDOUT, s->in.data, s->in.len);
    buf_clear(&s->in);
    s->copying = !s->in_ended;
}

static bool is_late(const struct script *s, int64_t now_us)
{
    return s->spec.timeout_ms && now_us - s->start_us >= s->spec.timeout_ms * 1000;
}

void script_advance(struct script *s, int64_t now_us)
{
    while (!s->ended && !s->wants_death) {
        if (is_late(s, now_us)) {
            finish(s, 0, SIGKILL_NUMBER, true, now_us);
        } else if (s->copying) {
            copy_input(s);
            if (s->copying)
                return;
        } else if (s->flood_left > 0) {
            return; /* goes on as it is pulled */
        } else if (s->sleep_until_us > now_us) {
            return;
        } else {
            s->sleep_until_us = 0;
            next_line(s, now_us);
        }
    }
}

int64_t script_wake_us(const struct script *s)
{
    int64_t wake = INT64_MAX;
    if (s->ended)
        return wake;
    if (s->sleep_until_us)
        wake = s->sleep_until_us;
    int64_t limit = s->spec.timeout_ms ? s->start_us + s->spec.timeout_ms * 1000 : INT64_MAX;
    return wake < limit ? wake : limit;
}

/* Makes the next piece of a flood only when the last one was taken: it costs no memory. */
static void flood(struct script *s)
{
    static char x[AGENT_FRAME_MAX_BYTES];
    size_t n = (size_t)(s->flood_left < FLOOD_STEP_BYTES ? s->flood_left : FLOOD_STEP_BYTES);
    memset(x, 'x', n);
    emit(s, FRAME_STDOUT, x, n);
    s->flood_left -= (int64_t)n;
}

ssize_t script_pull(struct script *s, uint8_t *buf, size_t size)
{
    if (s->out.len == 0 && s->flood_left > 0 && !s->ended)
        flood(s);
    if (s->out.len == 0)
        return s->ended ? -1 : 0;
    size_t n = s->out.len < size ? s->out.len : size;
    memcpy(buf, s->out.data, n);
    buf_consume(&s->out, n);
    return (ssize_t)n;
}

bool script_wants_death(const struct script *s)
{
    return s->wants_death;
}

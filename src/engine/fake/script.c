/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/script.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/guest.h"
#include "engine/fake/programs.h"
#include "engine/fake/words.h"

#define SHELL_PROMPT "# "
#define SHELL_LINE_MAX_BYTES 65536
#define SIGNAL_MAX 64

/* --- the beginning --- */

static bool choose_file(struct script *s, int arg)
{
    char path[AGENT_PATH_MAX_BYTES];
    struct blob *b = NULL;
    if (files_resolve(s->spec->cwd, s->spec->argv[arg], path, sizeof(path)) == 0)
        b = files_find(&s->guest->files, path);
    if (!b)
        return false;
    s->kind = SCRIPT_TEXT;
    s->text = blob_ref(b);
    s->program = arg;
    return true;
}

int script_start(struct script *s, const struct exec_spec *spec, struct guest *g, struct err *e)
{
    *s = (struct script){.spec = spec, .guest = g};
    if (choose_file(s, 0))
        return 0;
    int r = programs_choose(s);
    if (r < 0)
        return err_errno(e, r, "start the program");
    for (int i = 1; r == 0 && spec->argv[i]; i++)
        r = choose_file(s, i);
    if (r == 0)
        r = programs_choose_late(s);
    if (r < 0)
        return err_errno(e, r, "start the program");
    return r ? 0 : err_field(e, "argv", "argv[0] \"%.200s\": not found", spec->argv[0]);
}

void script_done(struct script *s)
{
    blob_unref(TAKE_PTR(s->text));
    blob_unref(TAKE_PTR(s->printing));
    buf_done(&s->scratch);
    buf_done(&s->out);
    buf_done(&s->errors);
    if (s->tar)
        tar_done(s->tar);
    free(TAKE_PTR(s->tar));
}

/* --- what comes next --- */

static bool next_line(struct script *s, struct line *ret)
{
    if (!s->text || s->at >= s->text->len)
        return false;
    const char *p = s->text->data + s->at;
    size_t left = s->text->len - s->at;
    const char *end = memchr(p, '\n', left);
    size_t len = end ? (size_t)(end - p) : left;
    s->at += len + (end != NULL);
    const char *space = memchr(p, ' ', len);
    *ret = (struct line){.text = p, .len = len, .rest = p + len};
    if (space) {
        ret->rest = space + 1;
        ret->rest_len = len - (size_t)(space + 1 - p);
    }
    return true;
}

static void yield_exit(struct script *s, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_EXIT, .number = s->end_code};
}

/* Moves what is still to be said to scratch. */
static void say(struct script *s, struct buf *from, bool to_stderr, struct script_event *ret)
{
    buf_append(&s->scratch, from->data, from->len);
    s->scratch.failed |= from->failed;
    buf_done(from);
    words_write_scratch(s, to_stderr, ret);
}

static void next_of_shell(struct script *s, struct script_event *ret)
{
    if (s->input_ended) {
        yield_exit(s, ret);
    } else if (s->spec->pty_rows && !s->is_asking) {
        s->is_asking = true;
        *ret = (struct script_event){
            .op = SCRIPT_WRITE, .data = SHELL_PROMPT, .len = strlen(SHELL_PROMPT)};
    } else {
        *ret = (struct script_event){.op = SCRIPT_READ};
    }
}

static void next_of_tar(struct script *s, struct script_event *ret)
{
    if (!tar_next(s->tar, &s->guest->files, &s->scratch, &s->printing))
        yield_exit(s, ret);
    else if (s->printing)
        *ret = (struct script_event){
            .op = SCRIPT_WRITE, .data = s->printing->data, .len = s->printing->len};
    else
        words_write_scratch(s, false, ret);
}

/* Nothing is left to be said, and of a text no line. */
static void next_of_kind(struct script *s, struct script_event *ret)
{
    switch (s->kind) {
    case SCRIPT_SHELL:
        next_of_shell(s, ret);
        break;
    case SCRIPT_TAR_CREATE:
        next_of_tar(s, ret);
        break;
    case SCRIPT_TAR_EXTRACT:
        if (s->input_ended)
            yield_exit(s, ret);
        else
            *ret = (struct script_event){.op = SCRIPT_READ};
        break;
    default:
        yield_exit(s, ret);
    }
}

void script_next(struct script *s, struct script_event *ret)
{
    struct line l;
    int r = 0;
    while (r == 0) {
        blob_unref(TAKE_PTR(s->printing));
        buf_clear(&s->scratch);
        if (s->out.len) {
            say(s, &s->out, false, ret);
            return;
        }
        if (s->errors.len) {
            say(s, &s->errors, true, ret);
            return;
        }
        if (!next_line(s, &l)) {
            next_of_kind(s, ret);
            return;
        }
        r = words_run(s, &l, ret);
    }
}

/* --- input --- */

/* A line without its end becomes the text; Enter on a terminal has become a newline already. */
static size_t read_line(struct script *s, const char *data, size_t len, bool ended)
{
    const char *end = memchr(data, '\n', len);
    size_t n = end ? (size_t)(end - data) : len;
    if (!end && !ended && len < SHELL_LINE_MAX_BYTES)
        return 0;
    struct blob *line = blob_new(data, n);
    s->input_ended = !line || (ended && !end);
    blob_unref(TAKE_PTR(s->text));
    s->text = line;
    s->at = 0;
    s->is_asking = false;
    return n + (end != NULL);
}

static void tar_failed(struct script *s, int r)
{
    buf_printf(&s->errors, "tar: %s\n",
               r == -EINVAL ? "this does not look like a tar archive" : strerror(-r));
    s->end_code = 2;
    s->input_ended = true;
}

static size_t read_tar(struct script *s, const char *data, size_t len, bool ended)
{
    ssize_t n = tar_take(s->tar, &s->guest->files, data, len);
    bool is_all = ended && n >= 0 && (size_t)n == len;
    bool is_stuck = ended && n == 0 && len;
    if (n < 0)
        tar_failed(s, (int)n);
    else if (is_stuck || (is_all && s->tar->left))
        tar_failed(s, -EINVAL);
    else if (is_all)
        s->input_ended = true;
    return s->input_ended ? len : (size_t)n;
}

size_t script_read(struct script *s, const char *data, size_t len, bool ended)
{
    return s->kind == SCRIPT_SHELL ? read_line(s, data, len, ended) : read_tar(s, data, len, ended);
}

/* --- saving and loading --- */

void script_save(const struct script *s, const struct script_event *ev, struct buf *out)
{
    pack_i64(out, s->kind);
    pack_i64(out, s->text != NULL);
    pack_bytes(out, s->text ? s->text->data : NULL, s->text ? s->text->len : 0);
    pack_i64(out, (int64_t)s->at);
    pack_i64(out, s->program);
    pack_i64(out, s->end_code);
    pack_i64(out, s->is_asking);
    pack_i64(out, s->input_ended);
    pack_bytes(out, s->out.data, s->out.len);
    pack_bytes(out, s->errors.data, s->errors.len);
    pack_str(out, s->address);
    pack_i64(out, s->tar != NULL);
    if (s->tar)
        tar_save(s->tar, out);
    pack_i64(out, ev->op);
    pack_i64(out, ev->to_stderr);
    pack_i64(out, ev->number);
    pack_bytes(out, ev->data, ev->len);
}

static int load_text(struct script *s, struct unpack *u)
{
    size_t len;
    bool has_text = unpack_range(u, 0, 1);
    const char *text = unpack_bytes(u, &len);
    if (u->failed || (len && !has_text))
        return -EINVAL;
    s->text = has_text ? blob_new(text, len) : NULL;
    s->at = (size_t)unpack_range(u, 0, (int64_t)len);
    return has_text && !s->text ? -ENOMEM : 0;
}

static int load_buf(struct buf *b, struct unpack *u)
{
    size_t len;
    const char *data = unpack_bytes(u, &len);
    return data ? buf_append(b, data, len) : -EINVAL;
}

static int load_tar(struct script *s, struct unpack *u)
{
    bool has_tar = unpack_range(u, 0, 1);
    bool is_tar = s->kind == SCRIPT_TAR_CREATE || s->kind == SCRIPT_TAR_EXTRACT;
    if (u->failed || has_tar != is_tar)
        return -EINVAL;
    if (!has_tar)
        return 0;
    s->tar = calloc(1, sizeof(*s->tar));
    int r = s->tar ? tar_load(s->tar, u) : -ENOMEM;
    return r == 0 && s->tar->dir[0] != '/' ? -EINVAL : r;
}

int script_load(struct script *s, const struct exec_spec *spec, struct guest *g, struct unpack *u)
{
    int argc = 0;
    while (spec->argv[argc])
        argc++;
    *s = (struct script){.spec = spec, .guest = g};
    s->kind = (enum script_kind)unpack_range(u, 0, SCRIPT_KIND_COUNT - 1);
    int r = load_text(s, u);
    if (r < 0)
        return r;
    s->program = (int)unpack_range(u, 0, argc - 1);
    s->end_code = (int)unpack_range(u, 0, 255);
    s->is_asking = unpack_range(u, 0, 1);
    s->input_ended = unpack_range(u, 0, 1);
    r = load_buf(&s->out, u);
    r = r < 0 ? r : load_buf(&s->errors, u);
    unpack_str(u, s->address, sizeof(s->address));
    r = r < 0 ? r : load_tar(s, u);
    return u->failed ? -EINVAL : r;
}

/* What each event's number may be. */
static int64_t number_max(enum script_op op)
{
    switch (op) {
    case SCRIPT_EXIT:
        return 255;
    case SCRIPT_SIGNAL:
        return SIGNAL_MAX;
    case SCRIPT_CONNECT:
        return 65535;
    case SCRIPT_MEMORY:
        return PROGRAM_MEMORY_MAX_MIB;
    case SCRIPT_SLEEP:
    case SCRIPT_BUSY:
    case SCRIPT_TICK:
        return EXEC_TIMEOUT_MAX_MS;
    default:
        return PROGRAM_NUMBER_MAX;
    }
}

void script_load_event(struct script *s, struct script_event *ret, struct unpack *u)
{
    size_t len;
    struct script_event ev = {.op = (enum script_op)unpack_range(u, 0, SCRIPT_OP_COUNT - 1)};
    ev.to_stderr = unpack_range(u, 0, 1);
    ev.number = unpack_range(u, 0, number_max(ev.op));
    const char *data = unpack_bytes(u, &len);
    buf_clear(&s->scratch);
    if (!data || buf_append(&s->scratch, data, len) < 0 || (ev.op == SCRIPT_TICK && !ev.number))
        u->failed = true;
    bool reads = s->kind == SCRIPT_SHELL || s->kind == SCRIPT_TAR_EXTRACT;
    if (ev.op == SCRIPT_READ && !reads)
        u->failed = true;
    ev.data = buf_str(&s->scratch);
    ev.len = s->scratch.len;
    *ret = ev;
}

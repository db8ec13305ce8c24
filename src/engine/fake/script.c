/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/script.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/console.h"
#include "engine/fake/guest.h"

#define CODE_NOT_FOUND 127
#define HELLO "Hello, World!"
#define NUMBER_MAX INT64_C(1000000000000)

/* A line, and what stands after its first word and a space. Not NUL-terminated. */
struct line {
    const char *text;
    size_t len;
    const char *rest;
    size_t rest_len;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int start_without_text(struct script *s, const char *argv0)
{
    const char *name = base_name(argv0);
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
        s->end_code = name[0] == 'f';
        return 0;
    }
    s->end_code = CODE_NOT_FOUND;
    s->has_message = true;
    return buf_printf(&s->scratch, "%.200s: no argument names a file of the fake guest\n", argv0);
}

int script_start(struct script *s, const struct exec_spec *spec, struct guest *g)
{
    char path[AGENT_PATH_MAX_BYTES];
    *s = (struct script){.spec = spec, .guest = g};
    for (int i = 0; spec->argv[i]; i++) {
        struct blob *b = NULL;
        if (files_resolve(spec->cwd, spec->argv[i], path, sizeof(path)) == 0)
            b = files_find(&g->files, path);
        if (!b)
            continue;
        s->text = blob_ref(b);
        s->program = i;
        return 0;
    }
    return start_without_text(s, spec->argv[0]);
}

void script_done(struct script *s)
{
    blob_unref(TAKE_PTR(s->text));
    blob_unref(TAKE_PTR(s->printing));
    buf_done(&s->scratch);
}

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

static bool word_is(const struct line *l, const char *word)
{
    size_t len = strlen(word);
    return l->len >= len && memcmp(l->text, word, len) == 0 &&
           (l->len == len || l->text[len] == ' ');
}

/* The rest as a string; what does not fit is no name of anything. */
static bool rest_string(const struct line *l, char *ret, size_t size)
{
    if (l->rest_len >= size || memchr(l->rest, '\0', l->rest_len))
        return false;
    memcpy(ret, l->rest, l->rest_len);
    ret[l->rest_len] = '\0';
    return true;
}

/* The rest as a number from `min` to `max`. */
static bool rest_number(const struct line *l, int64_t min, int64_t max, int64_t *ret)
{
    char text[24], *end;
    if (!rest_string(l, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || *end || n < min || n > max)
        return false;
    *ret = n;
    return true;
}

/* Whatever is in scratch goes out; a program that runs out of memory is killed, as a guest's kernel
 * would do. */
static bool write_scratch(struct script *s, bool to_stderr, struct script_event *ret)
{
    if (s->scratch.failed)
        *ret = (struct script_event){.op = SCRIPT_SIGNAL, .number = SIGKILL};
    else
        *ret = (struct script_event){.op = SCRIPT_WRITE,
                                     .to_stderr = to_stderr,
                                     .data = buf_str(&s->scratch),
                                     .len = s->scratch.len};
    return true;
}

static bool write_line(struct script *s, const char *text, size_t len, struct script_event *ret)
{
    buf_append(&s->scratch, text, len);
    buf_append(&s->scratch, "\n", 1);
    return write_scratch(s, false, ret);
}

/* --- words: each says whether there is an event, -EINVAL for no such line --- */

static int do_print(struct script *s, const struct line *l, struct script_event *ret)
{
    return write_line(s, l->rest, l->rest_len, ret);
}

static int do_eprint(struct script *s, const struct line *l, struct script_event *ret)
{
    write_line(s, l->rest, l->rest_len, ret);
    ret->to_stderr = true;
    return 1;
}

static int do_args(struct script *s, const struct line *l, struct script_event *ret)
{
    for (char **arg = s->spec->argv + s->program + 1; *arg; arg++) {
        buf_append_str(&s->scratch, *arg);
        buf_append(&s->scratch, "\n", 1);
    }
    return write_scratch(s, false, ret);
}

static int do_env(struct script *s, const struct line *l, struct script_event *ret)
{
    for (char **v = s->spec->env; v && *v; v++) {
        size_t len = strcspn(*v, "=");
        if ((*v)[len] && len == l->rest_len && memcmp(*v, l->rest, len) == 0)
            return write_line(s, *v + len + 1, strlen(*v + len + 1), ret);
    }
    buf_append_str(&s->scratch, "no env ");
    return write_line(s, l->rest, l->rest_len, ret);
}

static int do_file(struct script *s, const struct line *l, struct script_event *ret)
{
    char name[AGENT_PATH_MAX_BYTES], path[AGENT_PATH_MAX_BYTES];
    struct blob *b = NULL;
    if (rest_string(l, name, sizeof(name)) &&
        files_resolve(s->spec->cwd, name, path, sizeof(path)) == 0)
        b = files_find(&s->guest->files, path);
    if (!b) {
        buf_append_str(&s->scratch, "no file ");
        return write_line(s, l->rest, l->rest_len, ret);
    }
    s->printing = blob_ref(b);
    *ret = (struct script_event){.op = SCRIPT_WRITE, .data = b->data, .len = b->len};
    return 1;
}

static int do_put(struct script *s, const struct line *l, struct script_event *ret)
{
    char path[AGENT_PATH_MAX_BYTES];
    const char *space = memchr(l->rest, ' ', l->rest_len);
    size_t name_len = space ? (size_t)(space - l->rest) : l->rest_len;
    auto_free char *name = strndup(l->rest, name_len);
    if (!name || files_resolve(s->spec->cwd, name, path, sizeof(path)) < 0)
        return -EINVAL;
    const char *text = space ? space + 1 : l->text + l->len;
    buf_append(&s->scratch, text, (size_t)(l->text + l->len - text));
    buf_append(&s->scratch, "\n", 1);
    if (s->scratch.failed)
        return write_scratch(s, true, ret);
    if (files_write(&s->guest->files, path, s->scratch.data, s->scratch.len) == 0)
        return 0;
    buf_clear(&s->scratch);
    buf_append_str(&s->scratch, "put: no space left\n");
    return write_scratch(s, true, ret);
}

/* Splits the rest at its first space. False: the name is none. */
static bool split_rest(const struct line *l, char *name, size_t size, const char **ret_text)
{
    const char *space = memchr(l->rest, ' ', l->rest_len);
    size_t len = space ? (size_t)(space - l->rest) : l->rest_len;
    if (len == 0 || len >= size || memchr(l->rest, '\0', len))
        return false;
    memcpy(name, l->rest, len);
    name[len] = '\0';
    *ret_text = space ? space + 1 : l->text + l->len;
    return true;
}

static int do_set(struct script *s, const struct line *l, struct script_event *ret)
{
    char name[VARS_NAME_MAX_BYTES + 1];
    const char *text;
    if (!split_rest(l, name, sizeof(name), &text))
        return -EINVAL;
    auto_free char *value = strndup(text, (size_t)(l->text + l->len - text));
    if (value && vars_set(&s->guest->vars, name, value) == 0)
        return 0;
    buf_append_str(&s->scratch, "set: no memory left\n");
    return write_scratch(s, true, ret);
}

static int do_get(struct script *s, const struct line *l, struct script_event *ret)
{
    char name[VARS_NAME_MAX_BYTES + 1];
    const char *value = rest_string(l, name, sizeof(name)) ? vars_get(&s->guest->vars, name) : NULL;
    if (value)
        return write_line(s, value, strlen(value), ret);
    buf_append_str(&s->scratch, "not set: ");
    return write_line(s, l->rest, l->rest_len, ret);
}

static int do_count(struct script *s, const struct line *l, struct script_event *ret)
{
    char name[VARS_NAME_MAX_BYTES + 1];
    int64_t n;
    if (!rest_string(l, name, sizeof(name)) || vars_add(&s->guest->vars, name, 1, &n) < 0)
        return -EINVAL;
    buf_printf(&s->scratch, "%" PRId64 "\n", n);
    return write_scratch(s, false, ret);
}

static int do_sum(struct script *s, const struct line *l, struct script_event *ret)
{
    if (l->len != strlen("sum"))
        return -EINVAL;
    buf_printf(&s->scratch, "%016" PRIx64 " %016" PRIx64 "\n",
               vars_hash(&s->guest->vars, PACK_HASH_START),
               files_hash(&s->guest->files, PACK_HASH_START));
    return write_scratch(s, false, ret);
}

static int do_disk(struct script *s, const struct line *l, struct script_event *ret)
{
    const struct disk_shape *d = &s->guest->disk.shape;
    if (l->len != strlen("disk"))
        return -EINVAL;
    buf_printf(&s->scratch, "%" PRId64 " %" PRId64 " %d\n", d->device_bytes, d->fs_bytes,
               d->layers);
    return write_scratch(s, false, ret);
}

static int do_io(struct script *s, const struct line *l, struct script_event *ret)
{
    int64_t bytes;
    if (!rest_number(l, 0, NUMBER_MAX, &bytes))
        return -EINVAL;
    s->guest->io_bytes += (uint64_t)bytes;
    return 0;
}

static int do_console(struct script *s, const struct line *l, struct script_event *ret)
{
    struct console *c = s->guest->console;
    if (c) {
        console_write(c, l->rest, l->rest_len);
        console_write(c, "\n", 1);
    }
    return 0;
}

static int do_flood(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_FLOOD};
    return rest_number(l, 0, NUMBER_MAX, &ret->number) ? 1 : -EINVAL;
}

static int do_sleep(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_SLEEP};
    return rest_number(l, 0, EXEC_TIMEOUT_MAX_MS, &ret->number) ? 1 : -EINVAL;
}

static int do_exit(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_EXIT};
    return l->rest_len == 0 || rest_number(l, 0, 255, &ret->number) ? 1 : -EINVAL;
}

static int do_signal(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_SIGNAL};
    return rest_number(l, 1, SIGRTMAX, &ret->number) ? 1 : -EINVAL;
}

static int do_cat(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_CAT};
    return l->len == strlen("cat") ? 1 : -EINVAL;
}

static int do_hang(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_HANG};
    return l->len == strlen("hang") ? 1 : -EINVAL;
}

static int do_die(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_DIE};
    return l->len == strlen("die") ? 1 : -EINVAL;
}

static const struct {
    const char *word;
    int (*run)(struct script *s, const struct line *l, struct script_event *ret);
} words[] = {
    {"print", do_print}, {"eprint", do_eprint}, {"args", do_args},   {"env", do_env},
    {"file", do_file},   {"put", do_put},       {"flood", do_flood}, {"sleep", do_sleep},
    {"exit", do_exit},   {"signal", do_signal}, {"cat", do_cat},     {"hang", do_hang},
    {"die", do_die},     {"set", do_set},       {"get", do_get},     {"count", do_count},
    {"sum", do_sum},     {"disk", do_disk},     {"io", do_io},       {"console", do_console},
};

/* True for a line of a real language that greets. With a quotation mark before it the text is a
 * string of such a language, also when the line begins with a word of ours (`print "Hello...`). */
static bool greets(const struct line *l, bool quoted)
{
    const char *p = memmem(l->text, l->len, HELLO, strlen(HELLO));
    return p && (!quoted || (p > l->text && (p[-1] == '"' || p[-1] == '\'')));
}

static int run_line(struct script *s, const struct line *l, struct script_event *ret)
{
    if (greets(l, true))
        return write_line(s, HELLO, strlen(HELLO), ret);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!word_is(l, words[i].word))
            continue;
        int r = words[i].run(s, l, ret);
        if (r >= 0)
            return r;
    }
    return greets(l, false) ? write_line(s, HELLO, strlen(HELLO), ret) : 0;
}

void script_next(struct script *s, struct script_event *ret)
{
    struct line l;
    if (s->has_message) {
        s->has_message = false;
        write_scratch(s, true, ret);
        return;
    }
    do {
        blob_unref(TAKE_PTR(s->printing));
        buf_clear(&s->scratch);
        if (!next_line(s, &l)) {
            *ret = (struct script_event){.op = SCRIPT_EXIT, .number = s->end_code};
            return;
        }
    } while (run_line(s, &l, ret) == 0);
}

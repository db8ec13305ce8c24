/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/words.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/console.h"
#include "engine/fake/guest.h"
#include "engine/fake/programs.h"

#define HELLO "Hello, World!"
#define SIGNAL_MAX 64

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

int words_write_scratch(struct script *s, bool to_stderr, struct script_event *ret)
{
    if (s->scratch.failed)
        *ret = (struct script_event){.op = SCRIPT_SIGNAL, .number = SIGKILL};
    else
        *ret = (struct script_event){.op = SCRIPT_WRITE,
                                     .to_stderr = to_stderr,
                                     .data = buf_str(&s->scratch),
                                     .len = s->scratch.len};
    return 1;
}

static int write_line(struct script *s, const char *text, size_t len, struct script_event *ret)
{
    buf_append(&s->scratch, text, len);
    buf_append(&s->scratch, "\n", 1);
    return words_write_scratch(s, false, ret);
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
    return words_write_scratch(s, false, ret);
}

static int list_env(struct script *s, struct script_event *ret)
{
    for (char **v = s->spec->env; v && *v; v++) {
        buf_append_str(&s->scratch, *v);
        buf_append(&s->scratch, "\n", 1);
    }
    return words_write_scratch(s, false, ret);
}

static int do_env(struct script *s, const struct line *l, struct script_event *ret)
{
    if (l->len == strlen("env"))
        return list_env(s, ret);
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
    const char *text = space ? space + 1 : l->rest + l->rest_len;
    buf_append(&s->scratch, text, (size_t)(l->rest + l->rest_len - text));
    buf_append(&s->scratch, "\n", 1);
    if (s->scratch.failed)
        return words_write_scratch(s, true, ret);
    if (files_write(&s->guest->files, path, s->scratch.data, s->scratch.len) == 0)
        return 0;
    buf_clear(&s->scratch);
    buf_append_str(&s->scratch, "put: no space left\n");
    return words_write_scratch(s, true, ret);
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
    *ret_text = space ? space + 1 : l->rest + l->rest_len;
    return true;
}

static int do_set(struct script *s, const struct line *l, struct script_event *ret)
{
    char name[VARS_NAME_MAX_BYTES + 1];
    const char *text;
    if (!split_rest(l, name, sizeof(name), &text))
        return -EINVAL;
    auto_free char *value = strndup(text, (size_t)(l->rest + l->rest_len - text));
    if (value && vars_set(&s->guest->vars, name, value) == 0)
        return 0;
    buf_append_str(&s->scratch, "set: no memory left\n");
    return words_write_scratch(s, true, ret);
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
    return words_write_scratch(s, false, ret);
}

static int do_sum(struct script *s, const struct line *l, struct script_event *ret)
{
    if (l->len != strlen("sum"))
        return -EINVAL;
    buf_printf(&s->scratch, "%016" PRIx64 " %016" PRIx64 "\n",
               vars_hash(&s->guest->vars, PACK_HASH_START),
               files_hash(&s->guest->files, "/run", PACK_HASH_START));
    return words_write_scratch(s, false, ret);
}

static int do_disk(struct script *s, const struct line *l, struct script_event *ret)
{
    const struct disk_shape *d = &s->guest->disk.shape;
    if (l->len != strlen("disk"))
        return -EINVAL;
    buf_printf(&s->scratch, "%" PRId64 " %" PRId64 " %" PRId64 "\n", d->device_bytes, d->fs_bytes,
               d->layers);
    return words_write_scratch(s, false, ret);
}

static int do_io(struct script *s, const struct line *l, struct script_event *ret)
{
    int64_t bytes;
    if (!rest_number(l, 0, PROGRAM_NUMBER_MAX, &bytes))
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
    return rest_number(l, 0, PROGRAM_NUMBER_MAX, &ret->number) ? 1 : -EINVAL;
}

static int do_memory(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_MEMORY};
    return rest_number(l, 0, PROGRAM_MEMORY_MAX_MIB, &ret->number) ? 1 : -EINVAL;
}

static const char mistake[] = "syntax error", warning[] = "#warning ";

/* What the compiler says about a file: false, when it likes it. */
static bool compile(struct script *s, const char *name, const struct blob *b)
{
    const char *w = memmem(b->data, b->len, warning, strlen(warning));
    if (memmem(b->data, b->len, mistake, strlen(mistake))) {
        buf_printf(&s->scratch, "%.100s: error: %s\n", name, mistake);
        s->at = s->text->len;
        s->end_code = 1;
        return true;
    }
    if (!w)
        return false;
    w += strlen(warning);
    const size_t left = b->len - (size_t)(w - b->data);
    const char *end = memchr(w, '\n', left);
    buf_printf(&s->scratch, "%.100s: warning: %.*s\n", name, (int)(end ? (size_t)(end - w) : left),
               w);
    return true;
}

/* A compiler: "gcc ... FILE </dev/null >&2" for the words that name a file. It knows one mistake, a
 * line "syntax error", and "#warning TEXT". */
static int do_gcc(struct script *s, const struct line *l, struct script_event *ret)
{
    auto_free char *words = strndup(l->rest, l->rest_len);
    char path[AGENT_PATH_MAX_BYTES];
    for (char *save, *w = words ? strtok_r(words, " ", &save) : NULL; w;
         w = strtok_r(NULL, " ", &save)) {
        struct blob *b = files_resolve(s->spec->cwd, w, path, sizeof(path)) == 0
                             ? files_find(&s->guest->files, path)
                             : NULL;
        if (!b || !compile(s, w, b))
            continue;
        words_write_scratch(s, true, ret);
        return 1;
    }
    return 0;
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
    return rest_number(l, 1, SIGNAL_MAX, &ret->number) ? 1 : -EINVAL;
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

/* --- words for what other words begin --- */

static int do_busy(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_BUSY};
    return rest_number(l, 0, EXEC_TIMEOUT_MAX_MS, &ret->number) ? 1 : -EINVAL;
}

/* The number in front of the rest, which moves past it. */
static bool take_number(const struct line *l, int64_t min, int64_t max, int64_t *ret,
                        struct line *ret_rest)
{
    char text[24];
    const char *after;
    if (!split_rest(l, text, sizeof(text), &after))
        return false;
    struct line first = {.rest = text, .rest_len = strlen(text)};
    *ret_rest = (struct line){.rest = after, .rest_len = (size_t)(l->rest + l->rest_len - after)};
    return rest_number(&first, min, max, ret);
}

static int do_ticker(struct script *s, const struct line *l, struct script_event *ret)
{
    char name[VARS_NAME_MAX_BYTES + 1];
    struct line rest;
    *ret = (struct script_event){.op = SCRIPT_TICK};
    if (!take_number(l, 1, EXEC_TIMEOUT_MAX_MS, &ret->number, &rest) ||
        !rest_string(&rest, name, sizeof(name)) || !name[0])
        return -EINVAL;
    buf_append_str(&s->scratch, name);
    ret->data = buf_str(&s->scratch);
    ret->len = s->scratch.len;
    return 1;
}

/* The whole text once more, but not without a pause. */
static int do_again(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_SLEEP};
    if (!rest_number(l, 1, EXEC_TIMEOUT_MAX_MS, &ret->number))
        return -EINVAL;
    s->at = 0;
    return 1;
}

/* "\\r" and "\\n" in the text are the characters, so that protocols can be spoken. */
static void append_unescaped(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool escaped = text[i] == '\\' && i + 1 < len && (text[i + 1] == 'r' || text[i + 1] == 'n');
        char c = !escaped ? text[i] : text[i + 1] == 'r' ? '\r' : '\n';
        i += escaped;
        buf_append(out, &c, 1);
    }
}

/* "connect 8080 TEXT" or "connect 10.0.0.1:8080 TEXT". */
static int do_connect(struct script *s, const struct line *l, struct script_event *ret)
{
    char where[SCRIPT_ADDRESS_SIZE + 8];
    const char *text;
    if (!split_rest(l, where, sizeof(where), &text))
        return -EINVAL;
    char *colon = strrchr(where, ':');
    const char *number = colon ? colon + 1 : where;
    struct line port = {.rest = number, .rest_len = strlen(number)};
    *ret = (struct script_event){.op = SCRIPT_CONNECT};
    if (!rest_number(&port, 1, 65535, &ret->number))
        return -EINVAL;
    if (colon)
        *colon = '\0';
    snprintf(s->address, sizeof(s->address), "%s", colon ? where : "127.0.0.1");
    append_unescaped(&s->scratch, text, (size_t)(l->rest + l->rest_len - text));
    ret->data = buf_str(&s->scratch);
    ret->len = s->scratch.len;
    return 1;
}

static int do_rows(struct script *s, const struct line *l, struct script_event *ret)
{
    *ret = (struct script_event){.op = SCRIPT_ROWS};
    return l->len == strlen("rows") ? 1 : -EINVAL;
}

static int do_hostname(struct script *s, const struct line *l, struct script_event *ret)
{
    const char *name = s->guest->hostname;
    return l->len == strlen("hostname") ? write_line(s, name, strlen(name), ret) : -EINVAL;
}

static int do_id(struct script *s, const struct line *l, struct script_event *ret)
{
    if (l->len != strlen("id"))
        return -EINVAL;
    buf_printf(&s->scratch, "uid=%u gid=%u\n", s->spec->uid, s->spec->gid);
    return words_write_scratch(s, false, ret);
}

static int do_pwd(struct script *s, const struct line *l, struct script_event *ret)
{
    const char *dir = s->spec->cwd;
    return l->len == strlen("pwd") ? write_line(s, dir, strlen(dir), ret) : -EINVAL;
}

static bool rest_path(const struct script *s, const struct line *l, char ret[AGENT_PATH_MAX_BYTES])
{
    char name[AGENT_PATH_MAX_BYTES];
    return rest_string(l, name, sizeof(name)) &&
           files_resolve(s->spec->cwd, name, ret, AGENT_PATH_MAX_BYTES) == 0;
}

static int do_rm(struct script *s, const struct line *l, struct script_event *ret)
{
    char path[AGENT_PATH_MAX_BYTES];
    if (!rest_path(s, l, path))
        return -EINVAL;
    if (files_remove(&s->guest->files, path) == 0)
        return 0;
    buf_append_str(&s->scratch, "rm: no file ");
    write_line(s, l->rest, l->rest_len, ret);
    ret->to_stderr = true;
    return 1;
}

static int do_mkdir(struct script *s, const struct line *l, struct script_event *ret)
{
    char path[AGENT_PATH_MAX_BYTES];
    if (!rest_path(s, l, path))
        return -EINVAL;
    if (files_make_dir(&s->guest->files, path) == 0)
        return 0;
    buf_append_str(&s->scratch, "mkdir: cannot make ");
    write_line(s, l->rest, l->rest_len, ret);
    ret->to_stderr = true;
    return 1;
}

static const struct {
    const char *word;
    int (*run)(struct script *s, const struct line *l, struct script_event *ret);
} words[] = {
    {"print", do_print}, {"eprint", do_eprint},     {"args", do_args},     {"env", do_env},
    {"file", do_file},   {"put", do_put},           {"flood", do_flood},   {"sleep", do_sleep},
    {"exit", do_exit},   {"signal", do_signal},     {"cat", do_cat},       {"hang", do_hang},
    {"die", do_die},     {"set", do_set},           {"get", do_get},       {"count", do_count},
    {"sum", do_sum},     {"disk", do_disk},         {"io", do_io},         {"console", do_console},
    {"busy", do_busy},   {"ticker", do_ticker},     {"again", do_again},   {"connect", do_connect},
    {"rows", do_rows},   {"hostname", do_hostname}, {"id", do_id},         {"pwd", do_pwd},
    {"rm", do_rm},       {"mkdir", do_mkdir},       {"memory", do_memory}, {"gcc", do_gcc},
};

/* True for a line of a real language that greets. With a quotation mark before it the text is a
 * string of such a language, also when the line begins with a word of ours (`print "Hello...`). */
static bool greets(const struct line *l, bool quoted)
{
    const char *p = memmem(l->text, l->len, HELLO, strlen(HELLO));
    return p && (!quoted || (p > l->text && (p[-1] == '"' || p[-1] == '\'')));
}

int words_run(struct script *s, const struct line *l, struct script_event *ret)
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

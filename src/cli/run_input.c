/* SPDX-License-Identifier: Apache-2.0 */

/* Everything is read whole before the request is made, since the dialect has one JSON body; so
 * every source has its bound, and the body as a whole too. stdin is read last: a mistake in the
 * command line shall not wait for the end of a pipe. */

#include "cli/run_input.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/stdin.h"

/* Where the code comes from, "-" and nothing being stdin. */
static const char *code_file(const struct options *o)
{
    return o->n_words > 1 ? o->words[1] : "-";
}

static bool code_is_stdin(const struct options *o)
{
    return !options_has(o, "code") && !strcmp(code_file(o), "-");
}

static int read_file(const char *path, struct buf *ret, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_NOT_FOUND, "cannot read %.300s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "%.300s is a directory, not a file", path);
    int r = fd_slurp(fd, ret, ret->max_bytes);
    if (r == -E2BIG)
        return err_set(e, ERR_TOO_LARGE, "%.300s is longer than the %zu KiB that fit", path,
                       ret->max_bytes >> 10);
    return r < 0 ? err_errno(e, r, "read %.300s", path) : 0;
}

static int add_code(struct cli *cli, const struct options *o, json_t *request, struct err *e)
{
    auto_buf struct buf code = {.max_bytes = RUN_CODE_MAX_BYTES};
    const char *text = options_value(o, "code"), *what = "-c";
    int r;
    if (text) {
        r = buf_append_str(&code, text);
        if (r < 0)
            return err_set(e, ERR_TOO_LARGE, "the code is longer than %zu KiB",
                           code.max_bytes >> 10);
    } else if (code_is_stdin(o)) {
        what = "standard input";
        if (cli->err.tty && isatty(STDIN_FILENO))
            fprintf(cli->err.file, "holm: type the program; Ctrl-D ends it\n");
        else
            progress_set(&cli->progress, &cli->err, "reading the program from standard input");
        r = stdin_read(cli, &code, e);
    } else {
        what = code_file(o);
        r = read_file(what, &code, e);
    }
    if (r < 0)
        return r;
    json_t *value = json_stringn(buf_str(&code), code.len);
    if (!value)
        return err_set(e, ERR_INVALID,
                       "the code in %.300s is not UTF-8 text; programs that are not text go with "
                       "--file",
                       what);
    return json_object_set_new(request, "code", value) < 0 ? err_errno(e, -ENOMEM, "read the code")
                                                           : 0;
}

/* Text in which nothing swells much when it is escaped: base64 adds a third, \u0001 is six for
 * one. */
bool run_input_is_text(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)data[i] < 0x20 && !strchr("\t\n\r\b\f", data[i]))
            return false;
        if (data[i] == '\0')
            return false;
    }
    auto_json json_t *v = json_stringn(data, len);
    return v != NULL;
}

static json_t *content_new(const struct buf *b, bool as_text)
{
    if (as_text)
        return json_stringn(buf_str(b), b->len);
    auto_buf struct buf text = {0};
    if (base64_encode(buf_str(b), b->len, &text) < 0)
        return NULL;
    return json_stringn(buf_str(&text), text.len);
}

static int add_stdin(struct cli *cli, const struct options *o, json_t *request, struct err *e)
{
    if (code_is_stdin(o) || options_has(o, "no-stdin") || isatty(STDIN_FILENO))
        return 0;
    auto_buf struct buf data = {.max_bytes = RUN_STDIN_MAX_BYTES};
    progress_set(&cli->progress, &cli->err, "reading standard input (-n runs without it)");
    int r = stdin_read(cli, &data, e);
    if (r < 0)
        return r;
    if (!data.len)
        return 0;
    bool as_text = run_input_is_text(data.data, data.len);
    r = json_object_set_new(request, "stdin", content_new(&data, as_text));
    if (r == 0)
        r = json_object_set_new(request, "stdin_encoding",
                                json_string(as_text ? "utf-8" : "base64"));
    return r < 0 ? err_errno(e, -ENOMEM, "read standard input") : 0;
}

static int add_args(const struct options *o, json_t *request, struct err *e)
{
    json_t *args = json_array();
    json_object_set_new(request, "args", args);
    for (size_t i = 0; i < o->n_rest; i++) {
        if (json_array_append_new(args, json_string(o->rest[i])) < 0)
            return err_set(e, ERR_INVALID, "argument %zu of the program is not UTF-8 text", i + 1);
    }
    return 0;
}

struct run_file {
    char *name;
    struct buf data;
};

/* One --file NAME[=PATH], read whole. `room` is what is left of the bound on all. */
static int load_file(const char *spec, struct run_file *ret, size_t room, struct err *e)
{
    const char *eq = strchr(spec, '=');
    const char *path = eq ? eq + 1 : spec;
    auto_free char *name = strndup(spec, eq ? (size_t)(eq - spec) : strlen(spec));
    auto_buf struct buf data = {.max_bytes = room};
    if (!name)
        return err_errno(e, -ENOMEM, "read files");
    if (!*name || name[0] == '/' || !strncmp(name, "../", 3) || strstr(name, "/../"))
        return err_set(e, ERR_INVALID,
                       "--file %.200s: the name in the virtual machine has to be relative; write "
                       "--file NAME=%.200s",
                       spec, path);
    int r = read_file(path, &data, e);
    if (r < 0)
        return err_wrap(e, r, "--file");
    ret->name = TAKE_PTR(name);
    ret->data = data;
    data = (struct buf){0};
    return 0;
}

/* They share one encoding: one file that is not text makes base64 of all. */
static int put_files(json_t *request, const struct run_file *files, size_t n, struct err *e)
{
    json_t *object = json_object();
    json_object_set_new(request, "files", object);
    bool as_text = true;
    for (size_t i = 0; i < n; i++)
        as_text = as_text && run_input_is_text(buf_str(&files[i].data), files[i].data.len);
    for (size_t i = 0; i < n; i++) {
        if (json_object_get(object, files[i].name))
            return err_set(e, ERR_INVALID, "--file %.200s: given twice", files[i].name);
        if (json_object_set_new(object, files[i].name, content_new(&files[i].data, as_text)) < 0)
            return err_set(e, ERR_INVALID, "--file %.200s: the name is not UTF-8", files[i].name);
    }
    json_object_set_new(request, "files_encoding", json_string(as_text ? "utf-8" : "base64"));
    return 0;
}

static int add_files(const struct options *o, json_t *request, struct err *e)
{
    struct run_file *files = calloc(o->n_hits + 1, sizeof(*files));
    size_t n = 0, room = RUN_FILES_MAX_BYTES;
    int r = files ? 0 : err_errno(e, -ENOMEM, "read files");
    for (size_t i = 0; r == 0 && i < o->n_hits; i++) {
        if (strcmp(o->hits[i].row->name, "file"))
            continue;
        r = n == RUN_FILES_MAX ? err_set(e, ERR_TOO_LARGE, "more than %d files", RUN_FILES_MAX)
                               : load_file(o->hits[i].value, &files[n], room + !room, e);
        if (r == 0)
            room -= files[n++].data.len;
    }
    if (r == 0 && n)
        r = put_files(request, files, n, e);
    while (n) {
        free(files[--n].name);
        buf_done(&files[n].data);
    }
    free(files);
    return r;
}

static int add_pairs(const struct options *o, json_t *request, struct err *e)
{
    json_t *env = json_object();
    json_object_set_new(request, "env", env);
    int r = pairs_gather(o, "env", true, env, e);
    return r < 0 ? r : add_files(o, request, e);
}

int run_input_gather(struct cli *cli, const struct options *o, struct run_input *ret, struct err *e)
{
    *ret = (struct run_input){.request = json_object()};
    if (!o->n_words || !*o->words[0])
        return err_set(e, ERR_INVALID, "which language? 'holm languages' shows all");
    if (json_object_set_new(ret->request, "language", json_string(o->words[0])) < 0)
        return err_set(e, ERR_INVALID, "the name of the language is not UTF-8 text");
    const struct options_range timeout = {.min = 1, .max = RUN_TIMEOUT_MAX_S};
    int r = options_number(o, "timeout", &timeout, &ret->timeout_s, e);
    if (r == 0 && ret->timeout_s)
        json_object_set_new(ret->request, "timeout", json_integer(ret->timeout_s));
    if (r == 0)
        r = add_args(o, ret->request, e);
    if (r == 0)
        r = add_pairs(o, ret->request, e);
    if (r == 0)
        r = add_code(cli, o, ret->request, e);
    return r < 0 ? r : add_stdin(cli, o, ret->request, e);
}

static int append_text(const char *text, size_t len, void *arg)
{
    return buf_append(arg, text, len);
}

int run_input_body(const struct run_input *in, struct buf *ret, struct err *e)
{
    ret->max_bytes = HTTP_BODY_MAX_BYTES;
    if (json_dump_callback(in->request, append_text, ret, JSON_COMPACT) == 0)
        return 0;
    return err_set(e, ERR_TOO_LARGE,
                   "code, input and files together are longer than the %llu MiB that a request may "
                   "be",
                   HTTP_BODY_MAX_BYTES / MIB);
}

void run_input_done(struct run_input *in)
{
    json_decref(in->request);
    in->request = NULL;
}

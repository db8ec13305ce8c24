/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/programs.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/guest.h"

#define CODE_NOT_FOUND 127

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return name + (name[0] == '-' && name[1]); /* a login shell */
}

static int answer(struct script *s, int code)
{
    s->kind = SCRIPT_ANSWER;
    s->end_code = code;
    return s->out.failed || s->errors.failed ? -ENOMEM : 1;
}

static int set_text(struct script *s, const char *text)
{
    s->kind = SCRIPT_TEXT;
    s->text = blob_new(text, strlen(text));
    return s->text ? 1 : -ENOMEM;
}

static const struct file *resolve(struct script *s, const char *name,
                                  char path[AGENT_PATH_MAX_BYTES])
{
    if (files_resolve(s->spec->cwd, name, path, AGENT_PATH_MAX_BYTES) < 0)
        return NULL;
    return files_at(&s->guest->files, path);
}

static int missing(struct script *s, const char *what, const char *name)
{
    return buf_printf(&s->errors, "%s: %.200s: No such file or directory\n", what, name);
}

static int do_true(struct script *s, char **args)
{
    return answer(s, 0);
}

static int do_false(struct script *s, char **args)
{
    return answer(s, 1);
}

static int do_echo(struct script *s, char **args)
{
    bool has_end = !args[0] || strcmp(args[0], "-n") != 0;
    for (char **a = args + !has_end; *a; a++)
        buf_printf(&s->out, "%s%s", *a, a[1] ? " " : "");
    if (has_end)
        buf_append_str(&s->out, "\n");
    return answer(s, 0);
}

static int do_cat(struct script *s, char **args)
{
    char path[AGENT_PATH_MAX_BYTES];
    int code = 0;
    if (!args[0])
        return set_text(s, "cat");
    for (; *args; args++) {
        const struct file *file = resolve(s, *args, path);
        if (file && file->attr.type == FILE_REGULAR) {
            buf_append(&s->out, file->content->data, file->content->len);
        } else {
            missing(s, "cat", *args);
            code = 1;
        }
    }
    return answer(s, code);
}

static int do_env(struct script *s, char **args)
{
    if (args[0])
        return 0;
    for (char **v = s->spec->env; v && *v; v++)
        buf_printf(&s->out, "%s\n", *v);
    return answer(s, 0);
}

static int do_hostname(struct script *s, char **args)
{
    return set_text(s, "hostname");
}

static int do_id(struct script *s, char **args)
{
    return set_text(s, "id");
}

static int do_pwd(struct script *s, char **args)
{
    return set_text(s, "pwd");
}

static int do_ls(struct script *s, char **args)
{
    char path[AGENT_PATH_MAX_BYTES];
    const char *name = args[0] ? args[0] : ".";
    const struct files *f = &s->guest->files;
    if (!resolve(s, name, path) && !files_is_dir(f, path)) {
        missing(s, "ls", name);
        return answer(s, 2);
    }
    for (size_t i = files_first_below(f, path); i < f->n && files_below(&f->list[i], path); i++) {
        const char *rest = f->list[i].path + (path[1] ? strlen(path) : 0) + 1;
        if (!strchr(rest, '/'))
            buf_printf(&s->out, "%s\n", rest);
    }
    return answer(s, 0);
}

static int do_sleep(struct script *s, char **args)
{
    char text[64], *end = NULL;
    double seconds = args[0] ? strtod(args[0], &end) : -1;
    if (!args[0] || *end || seconds < 0 || seconds > (double)EXEC_TIMEOUT_MAX_MS / 1000) {
        buf_printf(&s->errors, "sleep: invalid time interval\n");
        return answer(s, 1);
    }
    snprintf(text, sizeof(text), "sleep %lld", (long long)(seconds * 1000));
    return set_text(s, text);
}

/* The text behind "-c", which may stand among other short options, and "--"; NULL: none. */
static char **find_text(char **args)
{
    for (; *args && args[0][0] == '-'; args++)
        if (args[0][1] != '-' && strchr(args[0], 'c') && args[1])
            return args + 1 + (strcmp(args[1], "--") == 0 && args[2]);
    return NULL;
}

static bool names_a_file(struct script *s, char **args)
{
    char path[AGENT_PATH_MAX_BYTES];
    for (; *args; args++) {
        const struct file *file = resolve(s, *args, path);
        if (file && file->attr.type == FILE_REGULAR)
            return true;
    }
    return false;
}

#define UNPACK "mkdir -p -- \"$1\" && exec tar -x -C \"$1\""

/* "exec SHELL -l": how a login shell is asked for that only the guest knows by name. */
static bool is_login_shell(const char *text)
{
    size_t len = strlen(text);
    return strncmp(text, "exec ", 5) == 0 && len > 8 && strcmp(text + len - 3, " -l") == 0;
}

/* Options of the real one that change nothing here are passed over. */
static int do_tar(struct script *s, char **args)
{
    const char *dir = ".";
    bool creates = false, extracts = false;
    for (; *args; args++) {
        bool is_short = args[0][0] == '-' && args[0][1] != '-';
        creates |= is_short && strchr(*args, 'c');
        extracts |= is_short && strchr(*args, 'x');
        if (is_short && strchr(*args, 'C') && args[1])
            dir = *++args;
        else if (is_short && strchr(*args, 'f') && args[1])
            args++;
    }
    s->tar = calloc(1, sizeof(*s->tar));
    if (!s->tar)
        return -ENOMEM;
    resolve(s, dir, s->tar->dir);
    if (creates == extracts) {
        buf_append_str(&s->errors, "tar: one of -c and -x is needed\n");
    } else if (!files_is_dir(&s->guest->files, s->tar->dir)) {
        buf_printf(&s->errors, "tar: %.200s: Cannot open: No such file or directory\n", dir);
    } else {
        s->kind = creates ? SCRIPT_TAR_CREATE : SCRIPT_TAR_EXTRACT;
        return 1;
    }
    free(TAKE_PTR(s->tar));
    return answer(s, 2);
}

/* How holmd unpacks an archive into a directory that may not be there yet: $1. */
static int do_unpack(struct script *s, char *dir)
{
    char extract[] = "-x", into[] = "-C", path[AGENT_PATH_MAX_BYTES];
    char *args[] = {extract, into, dir, NULL};
    if (!resolve(s, dir, path))
        files_make_dir(&s->guest->files, path);
    return do_tar(s, args);
}

/* "sh -c 'compile it' main.c" runs main.c. */
static int do_sh(struct script *s, char **args)
{
    char **text = find_text(args);
    if (text && is_login_shell(*text)) {
        s->kind = SCRIPT_SHELL;
        return 1;
    }
    if (text && strcmp(*text, UNPACK) == 0 && text[1] && text[2])
        return do_unpack(s, text[2]);
    if (text && !names_a_file(s, text + 1)) {
        s->program = (int)(text - s->spec->argv);
        return set_text(s, *text);
    }
    while (!text && *args && args[0][0] == '-')
        args++;
    if (text || *args)
        return 0;
    s->kind = SCRIPT_SHELL;
    return 1;
}

static const struct {
    const char *name;
    int (*choose)(struct script *s, char **args);
} programs[] = {
    {"true", do_true}, {"false", do_false},       {"echo", do_echo}, {"cat", do_cat},
    {"env", do_env},   {"hostname", do_hostname}, {"id", do_id},     {"pwd", do_pwd},
    {"ls", do_ls},     {"sleep", do_sleep},       {"sh", do_sh},     {"bash", do_sh},
    {"tar", do_tar},
};

int programs_choose(struct script *s)
{
    const char *name = base_name(s->spec->argv[0]);
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        if (strcmp(programs[i].name, name) == 0)
            return programs[i].choose(s, s->spec->argv + 1);
    return 0;
}

/* A shell whose file is not there says so itself. */
int programs_choose_late(struct script *s)
{
    const char *name = base_name(s->spec->argv[0]);
    if (strcmp(name, "sh") != 0 && strcmp(name, "bash") != 0)
        return 0;
    missing(s, name, s->spec->argv[1]);
    return answer(s, CODE_NOT_FOUND);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/login.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define FILE_MAX_BYTES (64 * KIB)

void login_env_done(struct login_env *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->vars[i]);
    free(l->vars);
    *l = (struct login_env){0};
}

/* Sets "name=value", which `name_len` cuts. */
static int set(struct login_env *l, const char *name, size_t name_len, const char *value)
{
    auto_buf struct buf b = {0};
    buf_append(&b, name, name_len);
    buf_append_str(&b, "=");
    buf_append_str(&b, value);
    if (b.failed)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++) {
        if (strncmp(l->vars[i], b.data, name_len + 1) != 0)
            continue;
        free(l->vars[i]);
        l->vars[i] = buf_take(&b);
        return 0;
    }
    char **more = realloc(l->vars, (l->n + 2) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    l->vars = more;
    l->vars[l->n++] = buf_take(&b);
    l->vars[l->n] = NULL;
    return 0;
}

static int set_str(struct login_env *l, const char *name, const char *value)
{
    return set(l, name, strlen(name), value);
}

/* One line as pam_env reads it: [export] NAME=value, the value maybe in quotes. */
static int take_line(struct login_env *l, char *line)
{
    line += strspn(line, " \t");
    if (strncmp(line, "export ", 7) == 0)
        line += 7;
    size_t name_len = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789_");
    if (name_len == 0 || line[name_len] != '=')
        return 0;
    char *value = line + name_len + 1;
    size_t len = strlen(value);
    while (len && isspace((unsigned char)value[len - 1]))
        value[--len] = '\0';
    if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
        value[len - 1] = '\0';
        value++;
    }
    return set(l, line, name_len, value);
}

static int take_file(struct login_env *l, const char *etc)
{
    char path[512];
    auto_buf struct buf b = {0};
    if (path_printf(path, sizeof(path), "%s/environment", etc) < 0 ||
        file_read(path, &b, FILE_MAX_BYTES) < 0)
        return 0; /* it need not be there */
    int r = 0;
    char *rest = b.data;
    for (char *line; r == 0 && (line = strsep(&rest, "\n"));)
        r = take_line(l, line);
    return r;
}

static int take_user(struct login_env *l, const struct user *u)
{
    int r = set_str(l, "HOME", u->listed ? u->home : "/");
    r = r < 0 ? r : set_str(l, "SHELL", u->listed ? u->shell : "/bin/sh");
    if (r < 0 || !u->name[0])
        return r;
    r = set_str(l, "USER", u->name);
    return r < 0 ? r : set_str(l, "LOGNAME", u->name);
}

int login_env_init(struct login_env *l, const char *etc, const struct exec_spec *spec,
                   const struct user *u)
{
    *l = (struct login_env){0};
    int r = set_str(l, "PATH", LOGIN_DEFAULT_PATH);
    r = r < 0 ? r : set_str(l, "LANG", "C.UTF-8");
    r = r < 0 ? r : take_file(l, etc);
    r = r < 0 ? r : take_user(l, u);
    if (r == 0 && spec->pty_rows)
        r = set_str(l, "TERM", "xterm-256color");
    for (char *const *v = spec->env; r == 0 && v && *v; v++) {
        size_t name_len = strcspn(*v, "=");
        r = set(l, *v, name_len, *v + name_len + 1);
    }
    if (r < 0)
        login_env_done(l);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/users.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define ID_MAX (UINT32_MAX - 1)

struct user {
    char name[AGENT_USER_MAX_BYTES + 1];
    uint32_t uid, gid;
    char home[256], shell[256];
};

/* One line of /etc/passwd: name:x:uid:gid:comment:home:shell. */
static bool parse_line(const char *line, size_t len, struct user *ret)
{
    char text[1024], *field[7] = {text};
    if (len >= sizeof(text))
        return false;
    memcpy(text, line, len);
    text[len] = '\0';
    for (int i = 1; i < 7; i++) {
        field[i] = strchr(field[i - 1], ':');
        if (!field[i])
            return false;
        *field[i]++ = '\0';
    }
    snprintf(ret->name, sizeof(ret->name), "%s", field[0]);
    snprintf(ret->home, sizeof(ret->home), "%s", field[5]);
    snprintf(ret->shell, sizeof(ret->shell), "%s", field[6]);
    ret->uid = (uint32_t)strtoul(field[2], NULL, 10);
    ret->gid = (uint32_t)strtoul(field[3], NULL, 10);
    return true;
}

/* By name, or, when that is NULL, by uid. */
static bool find(const struct files *f, const char *name, uint32_t uid, struct user *ret)
{
    const struct blob *b = files_find(f, "/etc/passwd");
    size_t len;
    for (const char *p = b ? b->data : ""; *p; p += len + (p[len] == '\n')) {
        struct user u = {0};
        len = strcspn(p, "\n");
        if (!parse_line(p, len, &u) || (name ? strcmp(u.name, name) != 0 : u.uid != uid))
            continue;
        *ret = u;
        return true;
    }
    return false;
}

static bool parse_id(const char *text, char **end, uint32_t *ret)
{
    errno = 0;
    unsigned long n = strtoul(text, end, 10);
    if (text[0] < '0' || text[0] > '9' || errno || n > ID_MAX)
        return false;
    *ret = (uint32_t)n;
    return true;
}

/* "uid" or "uid:gid"; the gid of the former is its user's, or the same number. */
static bool by_number(const struct files *f, const char *text, struct user *ret)
{
    char *end;
    uint32_t uid, gid;
    if (!parse_id(text, &end, &uid))
        return false;
    bool is_known = find(f, NULL, uid, ret);
    gid = is_known ? ret->gid : uid;
    if (*end == ':' && !parse_id(end + 1, &end, &gid))
        return false;
    ret->uid = uid;
    ret->gid = gid;
    return *end == '\0';
}

static bool has_variable(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return true;
    return false;
}

/* Puts what a login gives in front of what is there already. */
static int add_login(const struct user *u, struct exec_spec *spec)
{
    const char *const rows[][2] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"LANG", "C.UTF-8"},
        {"HOME", u->home},
        {"USER", u->name},
        {"LOGNAME", u->name},
        {"SHELL", u->shell},
        {"TERM", spec->pty_rows ? "xterm-256color" : NULL},
    };
    size_t n = 0, had = 0;
    while (spec->env && spec->env[had])
        had++;
    char **env = calloc(had + ARRAY_SIZE(rows) + 1, sizeof(*env));
    bool fits = env != NULL;
    for (size_t i = 0; fits && i < ARRAY_SIZE(rows); i++) {
        if (!rows[i][1] || has_variable(spec->env, rows[i][0]))
            continue;
        fits = asprintf(&env[n], "%s=%s", rows[i][0], rows[i][1]) >= 0;
        n += fits;
    }
    if (!fits) {
        while (n)
            free(env[--n]);
        free(env);
        return -ENOMEM;
    }
    if (had)
        memcpy(env + n, spec->env, had * sizeof(*env));
    free(spec->env);
    spec->env = env;
    return 0;
}

static int choose_dir(const struct files *f, const struct user *u, struct exec_spec *spec,
                      struct err *e)
{
    char path[AGENT_PATH_MAX_BYTES];
    if (!spec->cwd) {
        bool has_home = u->home[0] == '/' && files_is_dir(f, u->home);
        spec->cwd = strdup(spec->login && has_home ? u->home : "/");
        return spec->cwd ? 0 : err_errno(e, -ENOMEM, "cwd");
    }
    if (files_resolve(NULL, spec->cwd, path, sizeof(path)) < 0 || !files_is_dir(f, path))
        return err_field(e, "cwd", "cwd \"%.200s\": No such file or directory", spec->cwd);
    return 0;
}

int users_apply(const struct files *f, struct exec_spec *spec, struct err *e)
{
    struct user u = {.home = "/", .shell = "/bin/sh"};
    if (spec->user && !find(f, spec->user, 0, &u) && !by_number(f, spec->user, &u))
        return err_field(e, "user", "there is no user \"%.64s\"", spec->user);
    if (spec->user) {
        spec->uid = u.uid;
        spec->gid = u.gid;
        free(TAKE_PTR(spec->user)); /* found: from now on it is these two */
    } else {
        find(f, NULL, spec->uid, &u);
    }
    int r = choose_dir(f, &u, spec, e);
    if (r < 0 || !spec->login)
        return r;
    r = add_login(&u, spec);
    return r < 0 ? err_errno(e, r, "environment") : 0;
}

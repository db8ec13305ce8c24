/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is left of a body. */
struct fields {
    char *p;
    size_t len;
};

static int next_field(struct fields *f, char **ret)
{
    char *end = f->len ? memchr(f->p, '\0', f->len) : NULL;
    if (!end)
        return -EBADMSG;
    *ret = f->p;
    f->len -= (size_t)(end + 1 - f->p);
    f->p = end + 1;
    return 0;
}

long job_length(const char *line, size_t len)
{
    long n = 0;
    if (len == 0 || len > JOB_DIGITS_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        if (line[i] < '0' || line[i] > '9')
            return -EBADMSG;
        n = 10 * n + (line[i] - '0');
    }
    return n <= JOB_BODY_MAX ? n : -EBADMSG;
}

/* A number and as many fields. Each takes a byte at least, which bounds the list by the body. */
static int next_list(struct fields *f, char ***ret, size_t *ret_n)
{
    char *number;
    int r = next_field(f, &number);
    if (r < 0)
        return r;
    long n = job_length(number, strlen(number));
    if (n < 0 || (size_t)n > f->len)
        return -EBADMSG;
    char **list = calloc((size_t)n + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (long i = 0; i < n; i++) {
        r = next_field(f, &list[i]);
        if (r < 0) {
            free(list);
            return r;
        }
    }
    *ret = list;
    *ret_n = (size_t)n;
    return 0;
}

int job_parse(char *body, size_t len, struct job *ret)
{
    struct fields f = {body, len};
    struct job j = {0};
    char *verb;
    int r = next_field(&f, &verb);
    if (r < 0)
        return r;
    j.rehearse = strcmp(verb, "rehearse") == 0;
    if (!j.rehearse && strcmp(verb, "run") != 0)
        return -EBADMSG;
    r = next_field(&f, &j.cwd);
    if (r == 0 && j.cwd[0] != '/')
        r = -EBADMSG;
    if (r == 0)
        r = next_list(&f, &j.args, &j.n_args);
    if (r == 0)
        r = next_list(&f, &j.env, &j.n_env);
    for (size_t i = 0; r == 0 && i < j.n_env; i++) {
        if (!strchr(j.env[i] + (j.env[i][0] == '='), '='))
            r = -EBADMSG;
    }
    if (r == 0 && f.len)
        r = -EBADMSG;
    if (r < 0) {
        job_done(&j);
        return r;
    }
    *ret = j;
    return 0;
}

void job_done(struct job *j)
{
    free(j->args);
    free(j->env);
    *j = (struct job){0};
}

/* The variable of `list` that has the same name as `variable`, or NULL. */
static char *find(char **list, const char *variable)
{
    size_t len = strcspn(variable, "=");
    for (; *list; list++) {
        if (strncmp(*list, variable, len) == 0 && (*list)[len] == '=')
            return *list;
    }
    return NULL;
}

/* Each string for itself: runtimes keep them, and Perl frees those of an environment. */
static char **own(char **list)
{
    for (char **v = list; *v; v++) {
        *v = strdup(*v);
        if (!*v)
            return NULL;
    }
    return list;
}

char **job_environ(const struct job *j, char **base, char **now, bool (*is_ours)(const char *))
{
    size_t n = 0, n_now = 0;
    while (now[n_now])
        n_now++;
    char **env = calloc(j->n_env + n_now + 1, sizeof(*env));
    if (!env)
        return NULL;
    for (size_t i = 0; i < j->n_env; i++) {
        char *before = find(base, j->env[i]), *after = find(now, j->env[i]);
        bool same = before && strcmp(before, j->env[i]) == 0;
        if (!same)
            env[n++] = j->env[i];
        else if (after)
            env[n++] = after;
    }
    for (size_t i = 0; i < n_now; i++) {
        if (!find(base, now[i]) && !find(j->env, now[i]) && !is_ours(now[i]))
            env[n++] = now[i];
    }
    return own(env);
}

char **job_argv(char *const *first, size_t n_first, char *const *args, size_t n_args)
{
    char **list = calloc(n_first + n_args + 1, sizeof(*list));
    if (!list)
        return NULL;
    memcpy(list, first, n_first * sizeof(*list));
    if (n_args)
        memcpy(list + n_first, args, n_args * sizeof(*list));
    return own(list);
}

void job_list_free(char **list)
{
    for (char **v = list; v && *v; v++)
        free(*v);
    free(list);
}

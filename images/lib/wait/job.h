/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a waiting program is told to become (docs/warm.md). On the pipe: the length of the body in
 * decimal digits, a newline, the body. The body: fields that each end with a NUL: verb, directory,
 * number of arguments, the arguments, number of variables, the variables as NAME=value. */

#include <stdbool.h>
#include <stddef.h>

#define JOB_BODY_MAX (8 << 20) /* what Linux takes at an exec is less */
#define JOB_DIGITS_MAX 8       /* digits of a length or a number */

struct job {
    bool rehearse; /* else: run */
    char *cwd;
    char **args; /* NULL-terminated lists; they own the list, the strings belong to the body */
    size_t n_args;
    char **env;
    size_t n_env;
};

/* Takes `body` apart, which it changes nothing in and which must outlive the job. -EBADMSG for what
 * is no job, -ENOMEM. */
int job_parse(char *body, size_t len, struct job *ret);

void job_done(struct job *j);

/* The length that `line` (without its newline) announces, or -EBADMSG. */
long job_length(const char *line, size_t len);

/* The environment of the program: the job's. Between its start (`base`) and now (`now`) wrappers of
 * the runtime may have added to what it was given or changed it: they would have done the same with
 * the job's. What was added and `is_ours` is left out. A new list of new strings, or NULL without
 * memory. */
char **job_environ(const struct job *j, char **base, char **now, bool (*is_ours)(const char *));

/* An argument vector: `n_first` strings of `first`, then `n_args` of `args`. A new list of new
 * strings, ended by NULL, or NULL without memory. */
char **job_argv(char *const *first, size_t n_first, char *const *args, size_t n_args);

/* Frees either's list with its strings; NULL is none. */
void job_list_free(char **list);

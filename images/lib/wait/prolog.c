/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a program in SWI-Prolog: the flags `argv`, and `os_argv` with all of the command
 * before them. Prolog itself sets them, by its interface for C. */

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>

#include "job.h"
#include "wait.h"

#define ATOM_UTF8 (2 | 0x00100000) /* PL_ATOM | REP_UTF8, SWI-Prolog.h */
#define QUERY_CATCH 0x08           /* PL_Q_CATCH_EXCEPTION */

typedef uintptr_t term;

static struct {
    term (*new_term_refs)(int n);
    int (*put_chars)(term, int flags, size_t len, const char *text);
    int (*put_nil)(term);
    int (*cons_list)(term list, term head, term tail);
    int (*chars_to_term)(const char *text, term);
    void *(*predicate)(const char *name, int arity, const char *module);
    int (*call_predicate)(void *module, int flags, void *predicate, term first);
} pl;

#define FIND(name) WAIT_FIND(pl, "PL_", name)

static bool set_flag(const char *name, char *const *words, size_t n)
{
    term t = pl.new_term_refs(3), word = pl.new_term_refs(1);
    if (!pl.put_chars(t, ATOM_UTF8, (size_t)-1, name) || !pl.put_nil(t + 1) ||
        !pl.chars_to_term("[access(read_only)]", t + 2))
        return false;
    for (size_t i = n; i--;) {
        if (!pl.put_chars(word, ATOM_UTF8, (size_t)-1, words[i]) ||
            !pl.cons_list(t + 1, word, t + 1))
            return false;
    }
    return pl.call_predicate(NULL, QUERY_CATCH, pl.predicate("create_prolog_flag", 3, "system"), t);
}

int wait_prolog_args(char **args, size_t n)
{
    if (!FIND(new_term_refs))
        return 0;
    if (!FIND(put_chars) || !FIND(put_nil) || !FIND(cons_list) || !FIND(chars_to_term) ||
        !FIND(predicate) || !FIND(call_predicate))
        return -ENOTSUP;
    char **all = job_argv(wait_command.argv, wait_command.n, args, n);
    if (!all)
        return -ENOMEM;
    bool done = set_flag("os_argv", all, wait_command.n + n) && set_flag("argv", args, n);
    job_list_free(all);
    return done ? 1 : -ENOTSUP;
}

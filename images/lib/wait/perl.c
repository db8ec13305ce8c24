/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a program in Perl: @ARGV. Perl opens the program's file, then makes @ARGV of
 * what it was started with, then reads the program. So the arguments are added before the first
 * read, by the functions that extensions have for that. */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#include "job.h"
#include "wait.h"

#define FIND(name) WAIT_FIND(perl, "Perl_", name)

typedef void *interpreter;

static struct {
    char **args; /* NULL: none to be added */
    interpreter me;
    void *(*get_av)(interpreter, const char *name, int32_t flags);
    void (*av_push)(interpreter, void *array, void *scalar);
    void *(*newSVpv)(interpreter, const char *text, size_t len_or_0);
} perl;

int wait_perl_args(char **args, size_t n)
{
    const pthread_key_t *key = dlsym(RTLD_DEFAULT, "PL_thr_key");
    if (!key)
        return 0;
    perl.me = pthread_getspecific(*key);
    if (!perl.me || !FIND(get_av) || !FIND(av_push) || !FIND(newSVpv))
        return -ENOTSUP;
    perl.args = job_argv(args, n, NULL, 0);
    return perl.args ? 1 : -ENOMEM;
}

void wait_perl_reads(void)
{
    char **args = perl.args;
    if (!args)
        return;
    perl.args = NULL;
    void *array = perl.get_av(perl.me, "ARGV", 1);
    for (char **a = args; *a; a++)
        perl.av_push(perl.me, array, perl.newSVpv(perl.me, *a, 0));
    job_list_free(args);
}

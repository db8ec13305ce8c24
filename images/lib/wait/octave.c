/* SPDX-License-Identifier: Apache-2.0 */

/* GNU Octave. What its libraries have for this are methods of C++, called here by the names that
 * the compiler gives them. */

#include <dlfcn.h>
#include <errno.h>
#include <stdalign.h>

#include "job.h"
#include "wait.h"

#define INTERN_ARGV "_ZN6octave11application11intern_argvERK13string_vector"
#define INTERN_NARGIN "_ZN6octave11interpreter13intern_narginEl"

/* A pointer that a static member of a class holds; NULL in another runtime. */
static void *instance(const char *symbol)
{
    void **p = dlsym(RTLD_DEFAULT, symbol);
    return p ? *p : NULL;
}

/* Octave seeds the generators of all distributions when its library is loaded; so two copies of a
 * waiting process would draw the same. octave::rand::initialize_mersenne_twister() is called once
 * more, of the one octave::rand that there is. */
void wait_octave_reseed(void)
{
    void *rand = instance("_ZN6octave4rand10m_instanceE");
    void *seed = dlsym(RTLD_DEFAULT, "_ZN6octave4rand27initialize_mersenne_twisterEv");
    if (rand && seed)
        ((void (*)(void *))seed)(rand);
}

static struct {
    char **argv; /* the program's file first; NULL when there is nothing to do */
    size_t n;
    bool is_told; /* argv was given, and nargin is to follow */
} octave;

int wait_octave_args(char **args, size_t n)
{
    if (!instance("_ZN6octave11application10s_instanceE"))
        return 0;
    octave.argv = wait_program_argv(args, n);
    octave.n = n + 1;
    return octave.argv ? 1 : -ENOMEM;
}

/* octave::application::intern_argv(string_vector const &) and octave::interpreter::
 * intern_nargin(long) set what argv() and nargin tell. Octave waits when it looks what is in the
 * directory, and calls the two after that: then they are given ours instead. */
void intern_argv(void *app, const void *vector) __asm__(INTERN_ARGV);
void intern_argv(void *app, const void *vector)
{
    void (*next)(void *, const void *) = (__typeof__(next))dlsym(RTLD_NEXT, INTERN_ARGV);
    void (*make)(void *, char *const *, long) =
        (__typeof__(make))dlsym(RTLD_DEFAULT, "_ZN13string_vectorC1EPKPKcl");
    if (!next || (octave.argv && !make))
        wait_fail("arguments", ENOTSUP);
    /* The object: a few words; not destroyed, since that would be one more name. */
    alignas(max_align_t) char given[256];
    if (octave.argv) {
        make(given, octave.argv, (long)octave.n);
        vector = given;
        job_list_free(octave.argv);
        octave.argv = NULL;
        octave.is_told = true;
    }
    next(app, vector);
}

void intern_nargin(void *interpreter, long n) __asm__(INTERN_NARGIN);
void intern_nargin(void *interpreter, long n)
{
    void (*next)(void *, long) = (__typeof__(next))dlsym(RTLD_NEXT, INTERN_NARGIN);
    if (!next)
        wait_fail("arguments", ENOTSUP);
    next(interpreter, octave.is_told ? (long)octave.n - 1 : n);
    octave.is_told = false;
}

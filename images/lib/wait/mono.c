/* SPDX-License-Identifier: Apache-2.0 */

/* The .NET of Mono. */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "job.h"
#include "wait.h"

static struct {
    char **argv; /* the program's file first; NULL: Mono goes on by itself */
    size_t n;
    void *(*get_root_domain)(void);
    void *(*domain_assembly_open)(void *domain, const char *file);
    int (*jit_exec)(void *domain, void *assembly, int argc, char **argv);
    void (*jit_cleanup)(void *domain);
    int (*environment_exitcode_get)(void);
} mono;

#define FIND(name) WAIT_FIND(mono, "mono_", name)

/* Before it has loaded its library of classes, Mono looks at the program's file to find out which
 * version of that library the program wants. Without a file it is the one that there is. */
bool wait_mono_is_early(void)
{
    void *(*get_corlib)(void) = (__typeof__(get_corlib))dlsym(RTLD_DEFAULT, "mono_get_corlib");
    return get_corlib && !get_corlib();
}

/* The `mono` command has noted that there are no arguments where nobody else finds it. So it is not
 * gone on with, but what it would do next is done here: see mono/mini/driver.c, and what programs
 * do that have a Mono in them. */
int wait_mono_args(char **args, size_t n)
{
    if (!FIND(jit_exec))
        return 0;
    if (!FIND(get_root_domain) || !FIND(domain_assembly_open) || !FIND(jit_cleanup) ||
        !FIND(environment_exitcode_get))
        return -ENOTSUP;
    mono.argv = wait_program_argv(args, n);
    mono.n = n + 1;
    return mono.argv ? 1 : -ENOMEM;
}

void wait_mono_go_on(void)
{
    if (!mono.argv)
        return;
    void *domain = mono.get_root_domain();
    void *assembly = mono.domain_assembly_open(domain, mono.argv[0]);
    if (!assembly)
        return; /* Mono will find that, and say so */
    mono.jit_exec(domain, assembly, (int)mono.n, mono.argv);
    mono.jit_cleanup(domain); /* once other threads have ended */
    exit(mono.environment_exitcode_get());
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a program in Guile: what (command-line) tells. libguile has a function of its
 * own that sets them. */

#include <dlfcn.h>
#include <errno.h>

#include "job.h"
#include "wait.h"

int wait_guile_args(char **args, size_t n)
{
    void (*set)(int, char **, char *) =
        (__typeof__(set))dlsym(RTLD_DEFAULT, "scm_set_program_arguments");
    if (!set)
        return 0;
    char **argv = wait_program_argv(args, n);
    if (!argv)
        return -ENOMEM;
    set((int)(1 + n), argv, NULL); /* copies */
    job_list_free(argv);
    return 1;
}

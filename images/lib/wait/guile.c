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
    if (!set || !wait_command.n)
        return 0;
    /* The program's file is the last word of what Guile was started with. */
    char **argv = job_argv(&wait_command.argv[wait_command.n - 1], 1, args, n);
    if (!argv)
        return -ENOMEM;
    set((int)(1 + n), argv, NULL); /* copies */
    job_list_free(argv);
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a program in R: what commandArgs() tells. libR has a function of its own that
 * sets them. */

#include <dlfcn.h>
#include <errno.h>

#include "job.h"
#include "wait.h"

int wait_r_args(char **args, size_t n)
{
    void (*set)(int, char **) =
        (__typeof__(set))dlsym(RTLD_DEFAULT, "R_set_command_line_arguments");
    if (!set)
        return 0;
    /* As Rscript puts it: its options, a mark, what is the program's. */
    char mark[] = "--args", *marks[] = {mark};
    char **before = job_argv(wait_command.argv, wait_command.n, marks, 1);
    char **argv = before ? job_argv(before, wait_command.n + 1, args, n) : NULL;
    job_list_free(before);
    if (!argv)
        return -ENOMEM;
    set((int)(wait_command.n + 1 + n), argv); /* copies */
    job_list_free(argv);
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a program in PHP: $argv and $argc. The command opens the program's file, then
 * puts the arguments where it begins a request, and makes the variables of them. In between it
 * calls the front end's `activate`, which the one for the command line has none of: so ours stands
 * there for one call.
 *
 * Both structures are an ABI that extensions are built for. */

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "job.h"
#include "wait.h"

/* struct _sapi_module_struct, main/SAPI.h of PHP 8.2. */
struct front_end {
    void *from_name[4];
    int (*activate)(void);
};

/* struct _sapi_globals_struct, until request_info.argv. */
struct globals {
    void *server_context;
    void *from_request_method[8];
    uint8_t headers[8]; /* three flags */
    void *from_post_entry[7];
    int current_user_length;
    int argc;
    char **argv;
};

static struct {
    struct front_end *front_end;
    struct globals *globals;
    char **args;
    size_t n;
} php;

static int activate(void)
{
    struct globals *g = php.globals;
    php.front_end->activate = NULL;
    /* The program's file, and nothing else: else these are not what we take them for. */
    if (g->argc != 1 || !g->argv || strcmp(g->argv[0], WAIT_PROGRAM) != 0)
        wait_fail("arguments", ENOTSUP);
    g->argv = php.args;
    g->argc = (int)php.n;
    return 0;
}

int wait_php_args(char **args, size_t n)
{
    struct front_end *f = dlsym(RTLD_DEFAULT, "sapi_module");
    struct globals *g = dlsym(RTLD_DEFAULT, "sapi_globals");
    if (!f || !g)
        return 0;
    if (f->activate)
        return -ENOTSUP;
    php.args = wait_program_argv(args, n);
    if (!php.args)
        return -ENOMEM;
    php.n = n + 1;
    php.front_end = f;
    php.globals = g;
    f->activate = activate;
    return 1;
}

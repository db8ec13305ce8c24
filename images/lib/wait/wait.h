/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Ends this process, with what failed on standard error and the code that says so. */
_Noreturn void wait_fail(const char *what, int error);

/* Whether `path` is the file that this process waits for. Until the first time that it is touched.
 */
bool wait_is_for(const char *path);

/* Whether the file is only to be opened now, and waited for when its first line is read. */
bool wait_is_late(void);

/* Says ready, takes jobs, returns once this process has become the program. The first thread that
 * comes does it, others wait until it is done. Keeps errno. */
void wait_hold(void);

/* A descriptor with what the program is to become, for who opens the file of that name; once. -1.
 */
int wait_told(const char *path);

/* What this process was started with; copies. */
extern struct wait_command {
    size_t n;
    char **argv;
} wait_command;

/* The program's file: the last word of that. */
#define WAIT_PROGRAM (wait_command.argv[wait_command.n - 1])

/* The file, then `args`: a list for job_list_free(), or NULL without memory. */
char **wait_program_argv(char **args, size_t n);

/* Finds `prefix` and `name`, a function of the runtime, for a pointer of that name. Whether there
 * is one. For who includes dlfcn.h. */
#define WAIT_FIND(functions, prefix, name) \
    (((functions).name = (__typeof__((functions).name))dlsym(RTLD_DEFAULT, prefix #name)) != NULL)

/* Each gives `n` arguments to the runtime it is for, when that is the one in this process. By the
 * thread that holds it. 1, or 0 for another runtime, or a negative errno. Copies what it keeps. */
int wait_guile_args(char **args, size_t n);
int wait_jvm_args(char **args, size_t n);
int wait_mono_args(char **args, size_t n);
int wait_octave_args(char **args, size_t n);
int wait_perl_args(char **args, size_t n);
int wait_php_args(char **args, size_t n);
int wait_prolog_args(char **args, size_t n);
int wait_r_args(char **args, size_t n);
int wait_raku_args(char **args, size_t n);

/* Does what Mono would do next, when it has been given arguments; may not return. */
void wait_mono_go_on(void);

/* Whether a Mono is in this process that only looks which kind of program it is. */
bool wait_mono_is_early(void);

/* Before each read() of this process: gives Perl the arguments, if there are any still to give. */
void wait_perl_reads(void);

/* Notes that V8 may have taken these eight bytes as a seed. */
void wait_v8_seed(const void *bytes);

/* Looks for what they became; before ready. */
void wait_v8_find(void);

/* Gives new seeds to what was found. */
int wait_v8_reseed(void);

/* Seeds the generators of an Octave that is in this process anew. */
void wait_octave_reseed(void);

/* The same for Raku's, of the calling thread; and lets it see the environment that there is now. */
void wait_raku_renew(void);

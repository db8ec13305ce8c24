/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Whether `path` is the file that this process waits for. Until the first time that it is touched.
 */
bool wait_is_for(const char *path);

/* Whether the file is only to be opened now, and waited for when its first line is read. */
bool wait_is_late(void);

/* Says ready, takes jobs, returns once this process has become the program. The first thread that
 * comes does it, others wait until it is done. Keeps errno. */
void wait_hold(void);

/* Gives the arguments to the Java machine that is in this process. The caller is a thread of it,
 * the one that will call main. -1 without a machine, or without memory. */
int wait_jvm_args(char **args, unsigned n);

/* Notes that V8 may have taken these eight bytes as a seed. */
void wait_v8_seed(const void *bytes);

/* Looks for what they became; before ready. */
void wait_v8_find(void);

/* Gives new seeds to what was found. */
int wait_v8_reseed(void);

/* Seeds the generators of an Octave that is in this process anew. */
void wait_octave_reseed(void);

/* The same for Raku's, of the calling thread. */
void wait_raku_reseed(void);

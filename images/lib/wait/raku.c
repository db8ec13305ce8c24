/* SPDX-License-Identifier: Apache-2.0 */

/* New random numbers for Raku. MoarVM seeds the generator of its first thread when it starts, by
 * the clock; so two copies of a waiting process would draw the same. Its own function seeds it
 * anew. */

#include <dlfcn.h>
#include <stdint.h>
#include <sys/random.h>

#include "wait.h"

void wait_raku_reseed(void)
{
    int64_t seed;
    void **thread = dlsym(RTLD_DEFAULT, "MVM_running_threads_context"); /* of the caller */
    void *symbol = dlsym(RTLD_DEFAULT, "MVM_proc_seed");
    if (thread && *thread && symbol && getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
        ((void (*)(void *, int64_t))symbol)(*thread, seed);
}
